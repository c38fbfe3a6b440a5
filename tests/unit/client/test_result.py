"""Handles on results."""

import asyncio
import logging
import pickle
from datetime import timedelta
from typing import Any

import pytest

from leveret import AsyncResult, Leveret, ResultSet, Task, group, states, testing
from leveret.client.groups import result_from_tuple
from leveret.client.results.joining import allow_join_result
from leveret.errors import Ignore, ResultIgnored, TaskRevokedError, TimeoutError


@pytest.fixture
def add(app: testing.StagedLeveret) -> Any:
    @app.task(name="add")
    def add(x: int, y: int = 0) -> int:
        return x + y

    return add


def test_a_result_goes_from_pending_to_its_value(app: testing.StagedLeveret, add: Any) -> None:
    result = add.delay(1, 2)
    assert (result.state, result.ready(), result.result, result.exists()) == ("PENDING", False, None, False)

    app.run_until_idle()

    assert (result.state, result.status, result.ready(), result.successful()) == ("SUCCESS", "SUCCESS", True, True)
    assert (result.result, result.info, result.failed(), result.exists()) == (3, 3, False, True)
    assert result.date_done is not None and result.queue == "default"
    assert AsyncResult(result.id).get() == 3


def test_a_failure_is_raised_as_its_class_or_kept(app: testing.StagedLeveret) -> None:
    @app.task
    def fail() -> None:
        raise LookupError("gone", 7)

    result = fail.delay()

    with pytest.raises(LookupError) as caught:
        result.get()
    assert caught.value.args == ("gone", 7)
    assert isinstance(result.get(propagate=False), LookupError)
    assert "LookupError" in (result.traceback or "")
    assert result.state == states.FAILURE


def test_get_ends_with_its_timeout(app: testing.StagedLeveret, add: Any) -> None:
    result = add.apply_async((1,), countdown=100)

    with pytest.raises(TimeoutError, match="within 10 s"):
        result.get(timeout=10)
    assert result.get(timeout=100) == 1


def test_an_ignored_result_is_refused_at_once(app: testing.StagedLeveret, add: Any) -> None:
    result = add.apply_async((1,), ignore_result=True)

    with pytest.raises(ResultIgnored):
        result.get()
    with pytest.raises(ResultIgnored):
        asyncio.run(result.aget())


def test_get_inside_a_task_is_refused_as_in_celery(app: testing.StagedLeveret, add: Any) -> None:
    @app.task
    def outer(allowed: bool) -> Any:
        inner = add.delay(1)
        if not allowed:
            return inner.get()
        with allow_join_result():
            return inner.get(timeout=0)

    with pytest.raises(RuntimeError, match=r"Never call result\.get\(\) within a task!"):
        outer.delay(False).get()
    with pytest.raises(TimeoutError):
        outer.delay(True).get()


def test_get_in_a_loop_names_await(app: testing.StagedLeveret, add: Any) -> None:
    async def main() -> int:
        result = add.delay(1)
        with pytest.raises(RuntimeError, match="await result"):
            result.get()
        value: int = await result
        return value

    with pytest.warns(UserWarning):
        assert asyncio.run(main()) == 1


def test_progress_is_iterated_and_ends_with_the_task(app: testing.StagedLeveret) -> None:
    @app.task(bind=True)
    async def steps(self: Task[..., Any]) -> str:
        for done in (1, 2):
            await self.aupdate_state(state="PROGRESS", meta={"done": done})
            await asyncio.sleep(100)
        return "end"

    async def main() -> tuple[list[Any], Any]:
        result = await steps.adelay()
        return [progress async for progress in result], await result

    seen, value = asyncio.run(main())

    assert value == "end"
    assert all(progress.state == "PROGRESS" for progress in seen)


def test_aget_has_a_timeout_and_leaves_the_task_alone(app: testing.StagedLeveret, add: Any) -> None:
    async def main() -> tuple[str, bool, Any]:
        result = await add.adelay(1)
        assert await result.aget(timeout=5) == 1
        return await result.astate(), await result.aready(), await result.ainfo()

    assert asyncio.run(main()) == ("SUCCESS", True, 1)


def test_forget_removes_it_from_the_store(app: testing.StagedLeveret, add: Any) -> None:
    result = add.delay(1)
    result.get()

    result.forget()

    assert result.state == "PENDING"


def test_revoke_ends_what_has_not_begun(app: testing.StagedLeveret, add: Any) -> None:
    result = add.apply_async((1,), countdown=100)

    assert result.revoke() is True
    assert result.state == states.REVOKED
    with pytest.raises(TaskRevokedError):
        result.get()
    assert result.revoke() is False


def test_a_silent_wait_is_explained_once(
    app: testing.StagedLeveret, add: Any, caplog: pytest.LogCaptureFixture
) -> None:
    result = add.apply_async((1,), countdown=300, queue="empty")

    with caplog.at_level(logging.WARNING, "leveret.client"):
        result.get()

    lines = [line for line in caplog.messages if "still waiting" in line]
    assert len(lines) == 1
    assert result.id in lines[0] and "(in 5 min), by its countdown or ETA" in lines[0]


def test_results_compare_and_travel_by_id(app: testing.StagedLeveret, add: Any) -> None:
    result = add.delay(1)

    assert result == AsyncResult(result.id) == result.id
    assert {result, AsyncResult(result.id)} == {result}
    assert pickle.loads(pickle.dumps(result)) == result
    assert str(result) == f"add[{result.id}]"


def test_callbacks_get_id_and_value(app: testing.StagedLeveret, add: Any) -> None:
    seen: list[Any] = []
    result = add.delay(1)

    result.get(callback=lambda id, value: seen.append((id, value)))

    assert seen == [(result.id, 1)]


def test_revoke_between_two_tries_stops_the_next(app: testing.StagedLeveret) -> None:
    runs: list[int] = []

    @app.task(bind=True, max_retries=None)
    def stubborn(self: Task[..., Any]) -> None:
        runs.append(self.request.retries)
        raise self.retry(countdown=60)

    result = stubborn.delay()
    app.advance(90)
    assert (result.state, runs) == (states.RETRY, [0, 1])

    assert result.revoke() is True
    app.advance("1 hour")

    assert runs == [0, 1]
    assert result.state == states.REVOKED


def test_a_state_set_by_hand_before_ignore_is_the_end(app: testing.StagedLeveret) -> None:
    @app.task(bind=True)
    def by_hand(self: Task[..., Any]) -> None:
        self.update_state(
            state="FAILURE", meta={"exc_type": "KeyError", "exc_message": ["x"], "exc_module": "builtins"}
        )
        raise Ignore

    with pytest.raises(KeyError):
        by_hand.delay().get(timeout=30)


def test_a_real_outcome_replaces_a_state_set_by_hand(app: testing.StagedLeveret) -> None:
    @app.task(bind=True)
    def hasty(self: Task[..., Any]) -> int:
        self.update_state(state="SUCCESS", meta=1)
        return 2

    assert hasty.delay().get() == 2


def test_without_a_result_store_every_result_is_ignored() -> None:
    app = Leveret("none", broker="memory://no-results", backend="disabled://", set_as_current=False)

    @app.task
    def job() -> None: ...

    for result in (job.delay(), job.apply_async(ignore_result=False), app.send_task("other")):
        assert result.ignored
        with pytest.raises(ResultIgnored, match="keeps no result"):
            result.get()
    with pytest.raises(ResultIgnored, match="disabled://"):
        app.AsyncResult("some-id").get()


def test_a_timeout_is_seconds_or_a_timedelta(app: testing.StagedLeveret, add: Any) -> None:
    late = add.apply_async((1,), countdown=3600)

    with pytest.raises(TimeoutError, match="within 60 s"):
        late.get(timeout=timedelta(minutes=1))
    with pytest.raises(TimeoutError, match="within 60 s"):
        ResultSet([late]).get(timeout=timedelta(minutes=1))
    assert late.get(timeout=timedelta(hours=2)) == 1


def test_handles_are_written_as_tuples_and_read_again(app: testing.StagedLeveret, add: Any) -> None:
    chained = (add.s(1) | add.s(2)).apply_async()
    grouped = group(add.s(1), add.s(2)).apply_async()

    read = result_from_tuple(chained.as_tuple())
    assert (read.get(), read.parent.get()) == (3, 1)
    assert result_from_tuple(grouped.as_tuple()).get() == [1, 2]
    with pytest.raises(read.TimeoutError):
        AsyncResult(add.apply_async((1,), countdown=60).id).get(timeout=1)
