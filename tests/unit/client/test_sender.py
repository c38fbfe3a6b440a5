"""Calls that say nothing but their arguments go a short way; who receives them cannot tell."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from leveret import Leveret
from leveret.client.client import Client
from leveret.client.sending import BlockingInLoop
from leveret.client.tasks.sender import Plain, Sender
from leveret.config.settings import Settings
from leveret.errors import EncodeError, MessageTooLarge, PublishUnknown
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


def test_many_plain_calls_are_posted_as_the_long_way_posts_them(app: Leveret, tape: Tape) -> None:
    @app.task(name="add")
    def add(x: Any, y: Any = 1) -> None: ...

    @app.task(name="note", ignore_result=True)
    def note(*values: Any) -> None: ...

    signatures = [add.s(1), note.s(), add.si([2], y={3}), add.signature([4]), note.s("ä", 2.5), add.s(x=5)]
    results = app.send_many(signatures)
    later = asyncio.run(_asend_many(app, signatures))

    assert [result.id for result in (*results, *later)] == [posting.id for posting in tape.postings]
    for one, posting, result in zip(signatures * 2, tape.postings, (*results, *later), strict=True):
        assert posting == app.client.codec.post(replace_id(one.message(), posting.id))
        assert (result.task_name, result.queue, result.ignored) == (one.task, "default", one.task == "note")
    with pytest.raises(TypeError, match="add"):
        app.send_many([add.s(1), add.s()])
    assert len(tape.postings) == 2 * len(signatures)


async def _asend_many(app: Leveret, signatures: Any) -> Any:
    return await app.asend_many(signatures)


def test_of_many_the_one_that_cannot_be_sent_is_named_and_none_is_sent(app: Leveret, tape: Tape) -> None:
    app.conf.message_max_bytes = 1024

    @app.task(name="job")
    def job(x: Any) -> None: ...

    with pytest.raises(EncodeError, match=r"job: args\[0\]"):
        app.send_many([job.s(1), job.s(object())])
    with pytest.raises(MessageTooLarge, match=r"job: .* at most 1024"):
        app.send_many([job.s(1), job.s("x" * 1024)])
    assert tape.postings == []


def test_one_call_with_more_to_say_takes_all_of_its_publish_the_long_way(app: Leveret, tape: Tape) -> None:
    @app.task
    def job() -> None: ...

    @app.task(priority=3)
    def urgent() -> None: ...

    link = job.s()
    link.link(urgent.s())
    for told in (job.s().set(queue="other"), link, urgent.s()):
        assert Plain.of(app, [job.s(), job.s()]) is not None
        assert Plain.of(app, [job.s(), told]) is None
        results = app.send_many([job.s(), told])
        assert [result.id for result in results] == [posting.id for posting in tape.postings[-2:]]
    assert [posting.queue for posting in tape.postings[:2]] == ["default", "other"]


def test_many_calls_from_within_a_task_know_their_parent(app: Leveret, tape: Tape) -> None:
    @app.task
    def job() -> None: ...

    request = Request(Message(id=TaskId("parent"), task="t"))
    token = CURRENT.set(request)
    try:
        app.send_many([job.s(), job.s()])
    finally:
        CURRENT.reset(token)

    assert {posting.encoded.headers["parent_id"] for posting in tape.postings} == {"parent"}
    assert len(request.children) == 2


def test_many_calls_in_doubt_are_sent_again_with_the_same_ids(app: Leveret, tape: Tape) -> None:
    @app.task
    def job() -> None: ...

    tape.doubts = 1
    app.send_many([job.s(), job.s()])

    assert tape.postings[:2] == tape.postings[2:]


def test_many_blocking_calls_in_a_loop_warn_at_the_callers_line(app: Leveret) -> None:
    @app.task
    def job() -> None: ...

    async def main() -> None:
        with pytest.warns(BlockingInLoop) as caught:
            app.send_many([job.s()])
        assert [warning.filename for warning in caught] == [__file__]

    asyncio.run(main())


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
