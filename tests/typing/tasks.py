"""What a user's type checker says of tasks. Never run: checked by mypy and basedpyright (`make check`)."""

from datetime import datetime, timedelta
from typing import Any, assert_type

from leveret import AsyncResult, Batch, Call, EagerResult, Leveret, Signature, Task, crontab, schedule, shared_task

app = Leveret("tasks", broker="memory://typing")


@app.task
def add(x: int, y: int = 0) -> int:
    return x + y


@app.task(queue="slow", max_retries=None, time_limit=timedelta(minutes=1))
def shout(text: str, *, times: int = 1) -> str:
    return text.upper() * times


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


@app.task(bind=True)
def count(self: Task[..., Any], until: int) -> list[int]:
    self.update_state(state="PROGRESS", meta={"done": 1})
    raise self.retry(countdown=timedelta(seconds=5))


@app.task(bind=True, queue="x")
async def stream(self: Task[..., Any], url: str) -> float:
    await self.aupdate_state(meta={"seen": len(url)})
    return 1.0


@shared_task
def shared(a: str) -> bool:
    return bool(a)


@shared_task(bind=True)
def shared_bound(self: Task[..., Any], a: str) -> bool:
    return bool(a)


@app.task(batch=Batch(size=10, within=1.5), queue="x")
def many(calls: list[Call]) -> None:
    for call in calls:
        call.succeed(call.args[0])


@app.task(batch=Batch(), bind=True)
async def many_bound(self: Task[..., Any], calls: list[Call]) -> list[int]:
    return [len(call.kwargs) for call in calls]


def test_batches() -> None:
    assert_type(many, Task[..., Any])
    many.delay(1, to="x")
    many_bound.apply_async((1,), countdown=3)


def test_calls() -> None:
    assert_type(add(1, 2), int)
    assert_type(add.delay(1, y=2), AsyncResult[int])
    assert_type(add.delay(1).get(timeout=3), int)
    assert_type(add.apply_async((1, 2), countdown=timedelta(days=1)), AsyncResult[int])
    assert_type(add.apply((1, 2)), EagerResult[int])
    assert_type(add.apply((1, 2)).get(), int)
    assert_type(add.options(queue="x", countdown=10).delay(1, 2), AsyncResult[int])
    assert_type(shout.delay("a", times=2), AsyncResult[str])
    assert_type(count.delay(3), AsyncResult[list[int]])
    assert_type(shared.delay("a"), AsyncResult[bool])
    assert_type(shared_bound.delay("a"), AsyncResult[bool])
    add.delay_on_commit(1, y=2)
    shared.apply_async_on_commit(("a",), queue="x")


def test_coroutine_tasks_give_what_they_return() -> None:
    assert_type(fetch.delay("u"), AsyncResult[bytes])
    assert_type(fetch.delay("u").get(), bytes)
    assert_type(stream.delay("u"), AsyncResult[float])
    assert_type(fetch.options(priority=9).delay("u"), AsyncResult[bytes])


async def test_async_twins() -> None:
    assert_type(await fetch("u"), bytes)
    assert_type(await add.adelay(1), AsyncResult[int])
    assert_type(await (await add.adelay(1)), int)
    assert_type(await (await fetch.aapply_async(("u",), queue="x")), bytes)
    assert_type(await add.delay(1), int)


def test_signatures() -> None:
    assert_type(add.s(1, 2), Signature[int])
    assert_type(add.s(2), Signature[int])  # a part of the arguments: the rest comes from a predecessor
    assert_type(add.si(1, 2).apply_async(), AsyncResult[int])
    assert_type(fetch.s("u").delay(), AsyncResult[bytes])
    assert_type(app.send_many([add.s(n, 1) for n in range(3)]), list[AsyncResult[int]])


@app.task(schedule=crontab(minute="*/5"))
def poll() -> None: ...


async def test_schedules() -> None:
    assert_type(app.add_periodic_task(10.0, poll.s(), name="often", queue="slow"), str)
    assert_type(app.schedules.create("a", schedule(timedelta(hours=1)), poll).entry.name, str)
    assert_type(app.schedules.next("a", 3), list[datetime])
    assert_type(await app.schedules.arun("a"), AsyncResult[Any])
    poll.delay()


def test_misuse_is_an_error() -> None:
    add.delay("1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    add.delay()  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    add.delay_on_commit("1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    add.si(1, 2, 3)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    count.delay(count, 3)  # type: ignore[call-arg, arg-type] # pyright: ignore[reportCallIssue]
    add.options(quue="x")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    add.apply_async((1,), countdwn=3)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    add.options(queue="x").delay("1")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    shout.delay("a", 2)  # type: ignore[misc] # pyright: ignore[reportCallIssue]
    app.task(max_retry=3)  # type: ignore[call-overload] # pyright: ignore[reportCallIssue]
