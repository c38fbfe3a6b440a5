"""Results as messages, read by blocking callers, against a peer that is bytes only."""

import os
import socket
import threading
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from pamqp import commands
from tests.unit.links.amqp.server import Link, Server, serving
from tests.unit.links.amqp.test_blocking import Clock, Doing, failover

from leveret.links.amqp.letters import Letter
from leveret.links.amqp.replies import BlockingReplies
from leveret.links.amqp.replybox import ReplyBox
from leveret.links.amqp.sender import Sender
from leveret.model.message import TaskId
from leveret.model.settlement import Record
from leveret.model.topology import Topology

Basic, Queue = commands.Basic, commands.Queue
LONG = 30.0


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


class Caller:
    """One process's blocking side, and where the server sees it consume."""

    def __init__(self, server: Server) -> None:
        numbers = count(1)
        self.box = ReplyBox(lambda: f"n{next(numbers)}-{os.getpid()}", None)
        self.sender = Sender(failover(server.url), Topology())
        self.replies = BlockingReplies(self.sender, self.box, LONG, persistent=False)
        self.consumed = threading.Semaphore(0)
        self.places: list[tuple[Link, int, str]] = []
        server.on_method[Basic.Consume] = self._consume

    def _consume(self, link: Link, channel: int, found: Any) -> None:
        self.places.append((link, channel, found.queue))
        link.say(Basic.ConsumeOk(found.consumer_tag), channel)
        self.consumed.release()

    def send(self) -> None:
        self.sender.publish([Letter("", "q", b"\0\0", b"x", True, "q")], LONG, self.replies.prepare)

    def answer(self, name: str, status: str = "SUCCESS") -> None:
        """From a worker, to where it was consumed last."""
        link, channel, _ = self.places[-1]
        document = f'{{"task_id": "{name}", "status": "{status}"}}'.encode()
        link.deliver(channel, document, content_type="application/json", correlation_id=name)


@pytest.fixture
def caller(server: Server) -> Iterator[Caller]:
    made = Caller(server)
    yield made
    made.replies.close()


def states(found: tuple[Record | None, ...]) -> list[str | None]:
    return [one.state if one else None for one in found]


def test_the_reply_queue_is_consumed_before_the_message_leaves_and_only_once(server: Server, caller: Caller) -> None:
    caller.send()
    caller.send()

    heard = server.links[0].heard
    assert heard.index("Basic.Consume") < heard.index("Basic.Publish")
    assert heard.count("Basic.Consume") == 1
    assert caller.places[0][2] == caller.box.name
    assert caller.box.faces == 1


def test_a_wait_ends_with_the_result_which_is_acknowledged(server: Server, caller: Caller) -> None:
    caller.send()
    waiting = Doing(lambda: caller.replies.wait(["1"], LONG))

    caller.answer("other")
    caller.answer("1")

    assert waiting.over(5) and states(waiting.answer) == ["SUCCESS"]
    assert states(caller.replies.get(["1", "other"])) == ["SUCCESS", "SUCCESS"]
    caller.send()
    assert server.links[0].heard.count("Basic.Ack") == 2


def test_a_look_reads_what_has_come(caller: Caller) -> None:
    caller.send()
    caller.answer("1")
    caller.sender.wire(LONG).connection._line.readable(5)

    assert states(caller.replies.get(["1", "2"])) == ["SUCCESS", None]


def test_a_wait_without_a_result_ends_in_time(caller: Caller) -> None:
    caller.send()

    with Clock() as clock:
        found = caller.replies.wait(["1"], 0.2)

    assert states(found) == [None]
    assert 0.2 <= clock.seconds < 2


def test_many_wait_on_one_connection_each_for_its_own(caller: Caller) -> None:
    caller.send()
    waits = [Doing(lambda name=str(number): caller.replies.wait([name], LONG)) for number in range(12)]  # type: ignore[misc]

    for number in range(12):
        caller.answer(str(number))

    assert all(wait.over(5) and states(wait.answer) == ["SUCCESS"] for wait in waits)


def test_a_cancelled_consumer_consumes_anew_while_somebody_waits(caller: Caller) -> None:
    caller.send()
    assert caller.consumed.acquire(timeout=5)
    waiting = Doing(lambda: caller.replies.wait(["1"], LONG))
    link, channel, _ = caller.places[0]

    link.say(Basic.Cancel("replies"), channel)
    assert caller.consumed.acquire(timeout=5)
    caller.answer("1")

    assert waiting.over(5) and states(waiting.answer) == ["SUCCESS"]
    assert caller.box.faces == 1


def test_a_lost_connection_is_made_anew_and_the_same_queue_consumed(server: Server, caller: Caller) -> None:
    caller.send()
    assert caller.consumed.acquire(timeout=5)
    waiting = Doing(lambda: caller.replies.wait(["1"], LONG))

    server.links[0].sock.shutdown(socket.SHUT_RDWR)
    assert caller.consumed.acquire(timeout=5)
    caller.answer("1")

    assert waiting.over(5) and states(waiting.answer) == ["SUCCESS"]
    assert len({queue for _, _, queue in caller.places}) == 1
    assert (len(server.links), caller.box.faces) == (2, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_reads_its_own_results(server: Server, caller: Caller) -> None:
    caller.send()
    assert caller.consumed.acquire(timeout=5)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            caller.send()
            # Looking, which reads the socket only of a face that is counted.
            while caller.replies.get(["1"]) == (None,):
                pass
            caller.replies.close()
            code = 0
        finally:
            os._exit(code)
    assert caller.consumed.acquire(timeout=5)
    caller.answer("1")

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert caller.places[0][2] != caller.places[1][2]
    assert states(caller.replies.get(["1"])) == [None]


def test_results_of_other_callers_are_sent_to_them(server: Server, caller: Caller) -> None:
    mine = Record(id=TaskId("1"), attempt=0, state="SUCCESS", terminal=True)
    theirs = Record(id=TaskId("2"), attempt=0, state="SUCCESS", terminal=True, reply_to="leveret.reply.other")

    assert caller.replies.store((mine, theirs)) == (True, True)

    assert [one.key for one in server.published] == ["leveret.reply.other"]
    assert states(caller.replies.get(["1", "2"])) == ["SUCCESS", None]


def test_closing_is_counted_once(caller: Caller) -> None:
    caller.send()

    caller.replies.close()
    caller.replies.close()

    assert caller.box.faces == 0
