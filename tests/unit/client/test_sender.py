"""Calls that say nothing but their arguments go a short way; who receives them cannot tell."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from leveret import Leveret
from leveret.client.client import Client
from leveret.client.sending import BlockingInLoop
from leveret.client.tasks.sender import Sender
from leveret.config.settings import Settings
from leveret.errors import EncodeError, PublishUnknown
from leveret.model.delivery import Posting
from leveret.model.message import Message, TaskId
from leveret.model.request import CURRENT, Request
from leveret.wiring.client import build_client


class Tape:
    """A broker that keeps what it is given; `doubts`: how often it cannot tell whether it has it."""

    def __init__(self) -> None:
        self.postings: list[Posting] = []
        self.doubts = 0

    def publish(self, postings: tuple[Posting, ...], *, timeout: float) -> None:
        assert 0 < timeout <= 10
        self.postings += postings
        if self.doubts:
            self.doubts -= 1
            raise PublishUnknown("the line is dead")

    async def publish_within(self, postings: tuple[Posting, ...], timeout: float) -> None:
        self.publish(postings, timeout=timeout)

    def reply_address(self) -> str | None:
        return "udp://127.0.0.1:9"

    def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def tape() -> Tape:
    return Tape()


@pytest.fixture
def app(tape: Tape) -> Iterator[Leveret]:
    app = Leveret("plain", broker="memory://plain", set_as_current=False)

    def client(settings: Settings) -> Client:
        made = build_client(settings)
        connect = made.parts.connect
        staged = lambda: replace(connect(), publish_within=tape.publish_within)  # noqa: E731 - one of two parts
        return Client(replace(made.parts, broker=tape, reply_address=tape.reply_address, connect=staged), made.options)

    app.substitute(client)
    yield app


def plain(task: Any) -> bool:
    sender = task._sender
    return isinstance(sender, Sender) and sender.plain


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("args", [(), (1, "ä", None, 2.5), ([1, {"a": (1, 2)}],), ({1, 2},), (float("nan"), 2**70)])
@pytest.mark.parametrize("kwargs", [{}, {"x": 1, "y": ["z"]}])
def test_the_short_way_posts_what_the_long_way_posts(
    app: Leveret, tape: Tape, args: Any, kwargs: Any, ignored: bool
) -> None:
    @app.task(name="job", ignore_result=ignored)
    def job(*args: Any, **kwargs: Any) -> None: ...

    result = job.delay(*args, **kwargs)
    asyncio.run(_adelay(job, args, kwargs))
    message = job.message(args, kwargs, {})

    assert plain(job)
    for posting in tape.postings:
        assert posting == app.client.codec.post(replace_id(message, posting.id))
    assert len(tape.postings) == 2
    assert (result.id, result.task_name, result.queue, result.ignored) == (
        tape.postings[0].id,
        "job",
        "default",
        ignored,
    )


async def _adelay(task: Any, args: Any, kwargs: Any) -> None:
    await task.adelay(*args, **kwargs)


def replace_id(message: Message, task_id: str) -> Message:
    return Message(**{name: getattr(message, name) for name in message.__struct_fields__} | {"id": TaskId(task_id)})


@pytest.mark.parametrize(
    "options",
    [
        {"serializer": "msgpack"},
        {"compression": "gzip"},
        {"expires": 60},
        {"result_expires": 60},
        {"priority": 3},
    ],
)
def test_a_task_with_more_to_say_goes_the_long_way(app: Leveret, tape: Tape, options: Any) -> None:
    app.conf.accept_content = ["json", "msgpack"]

    @app.task(**options)
    def job() -> None: ...

    job.delay()

    assert not plain(job)
    assert len(tape.postings) == 1


def test_a_call_with_options_or_from_within_a_task_goes_the_long_way(app: Leveret, tape: Tape) -> None:
    @app.task
    def job() -> None: ...

    job.apply_async(queue="other")
    token = CURRENT.set(Request(Message(id=TaskId("parent"), task="t")))
    try:
        job.delay()
    finally:
        CURRENT.reset(token)

    assert [posting.queue for posting in tape.postings] == ["other", "default"]
    assert tape.postings[1].encoded.headers["parent_id"] == "parent"


def test_a_change_of_task_or_settings_counts_from_the_next_call(app: Leveret, tape: Tape) -> None:
    @app.task
    def job() -> None: ...

    job.delay()
    job.queue = "second"
    job.delay()
    job.queue = None
    app.conf.task_default_queue = "third"
    job.delay()
    app.conf.task_always_eager = True
    job.delay()

    assert [posting.queue for posting in tape.postings] == ["default", "second", "third"]


def test_what_cannot_be_written_is_named_by_its_place(app: Leveret, tape: Tape) -> None:
    @app.task(name="job")
    def job(x: Any) -> None: ...

    with pytest.raises(EncodeError, match=r"job: args\[0\]") as caught:
        job.delay({"a": object()})

    assert caught.value.path.startswith("args[0]")
    assert tape.postings == []


def test_a_publish_nobody_knows_of_is_sent_again_with_the_same_id(app: Leveret, tape: Tape) -> None:
    @app.task
    def job() -> None: ...

    tape.doubts = 1
    job.delay()

    first, second = tape.postings
    assert first == second


def test_a_blocking_call_in_a_loop_warns_at_the_callers_line(app: Leveret) -> None:
    @app.task
    def job() -> None: ...

    async def main() -> None:
        with pytest.warns(BlockingInLoop) as caught:
            job.delay()
        assert [warning.filename for warning in caught] == [__file__]

    asyncio.run(main())
