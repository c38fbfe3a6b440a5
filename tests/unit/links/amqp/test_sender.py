"""The blocking publisher against a peer that is bytes only."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pamqp import commands
from tests.unit.links.amqp import server as peers
from tests.unit.links.amqp.peer import content, method
from tests.unit.links.amqp.server import Link, Published, Server, serving
from tests.unit.links.amqp.test_blocking import Clock, Doing, failover

from leveret.errors import ImproperlyConfigured, MessageTooLarge, PublishFailed, PublishUnknown, QueueNotFound
from leveret.links.amqp import blocking, names
from leveret.links.amqp import sender as sending
from leveret.links.amqp.letters import Letter
from leveret.links.amqp.publisher import Nacked
from leveret.links.amqp.sender import Sender
from leveret.model.topology import Topology

Basic, Channel, Conn, Queue = commands.Basic, commands.Channel, commands.Connection, commands.Queue
SOON, LONG = 0.3, 30.0


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def sender(server: Server) -> Iterator[Sender]:
    made = Sender(failover(server.url), Topology())
    yield made
    made.close()


def letter(body: str = "x", queue: str = "q", exchange: str = "") -> Letter:
    return Letter(exchange, queue, b"\0\0", body.encode(), True, "" if exchange else queue)


def bodies(server: Server) -> list[str]:
    return [one.data.decode() for one in server.published]


# Sending


def test_a_message_is_there_when_publish_returns(server: Server, sender: Sender) -> None:
    sender.publish([letter("a"), letter("b")], LONG)

    assert bodies(server) == ["a", "b"]
    assert server.queues == {"q"}


def test_a_queue_is_looked_for_once(server: Server, sender: Sender) -> None:
    for body in "abc":
        sender.publish([letter(body)], LONG)

    assert len(server.links) == 1
    assert server.links[0].heard.count("Queue.Declare") == 1


def test_large_batches_go_in_parts_each_confirmed_before_the_next(
    server: Server, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "MOST_AT_ONCE", 10)
    open_at: list[int] = []

    def one_confirm_for_all(link: Link, found: Published) -> None:
        open_at.append(found.tag)
        if len(open_at) == 10 or found.tag == 25:
            open_at.clear()
            link.say(Basic.Ack(found.tag, True), found.channel)

    server.on_publish = one_confirm_for_all

    sender.publish([letter(str(number)) for number in range(25)], LONG)

    assert bodies(server) == [str(number) for number in range(25)]


def test_bodies_of_any_size_go_through_in_frames(server: Server, sender: Sender) -> None:
    sizes = [0, 1, 131_063, 131_064, 131_065, 1_000_000]

    sender.publish([letter("x" * size) for size in sizes], LONG)

    assert [len(one.data) for one in server.published] == sizes


def test_a_delayed_message_builds_the_ladder_as_high_as_it_must_be(server: Server, sender: Sender) -> None:
    server.empty = True
    late = Letter(names.level(2), names.delayed_key(5, "q"), b"\0\0", b"x", True, "q", 5)

    sender.publish([late], LONG)
    heard = len(server.links[0].heard)
    sender.publish([late], LONG)

    assert {names.level(number) for number in range(3)} <= server.queues & server.exchanges
    assert names.level(3) not in server.queues
    assert "q" in server.queues
    assert server.links[0].heard[heard:] == ["Basic.Publish"]


# What goes wrong


def test_a_refused_message_is_a_failure(server: Server, sender: Sender) -> None:
    server.on_publish = lambda link, found: link.say(Basic.Nack(found.tag), found.channel)

    with pytest.raises(PublishFailed, match="refused 2 of 2"):
        sender.publish([letter("a"), letter("b")], LONG)


def test_a_message_that_reaches_no_queue_is_named_and_its_queue_looked_for_anew(server: Server, sender: Sender) -> None:
    def bounce(link: Link, found: Published) -> None:
        back = method(Basic.Return(312, "NO_ROUTE", "", found.key), found.channel) + content(found.channel, found.data)
        link.send(back + method(Basic.Ack(found.tag), found.channel))

    sender.publish([letter("a")], LONG)
    server.on_publish = bounce
    with pytest.raises(QueueNotFound, match="NO_ROUTE"):
        sender.publish([letter("b")], LONG)
    server.on_publish = peers.confirm
    sender.publish([letter("c")], LONG)

    assert server.links[0].heard.count("Queue.Declare") == 3, "a's, b's second try, c's"
    assert len(server.links) == 1


def test_a_broker_that_never_confirms_leaves_it_unknown_at_the_deadline(server: Server, sender: Sender) -> None:
    server.on_publish = peers.ignore

    with Clock() as clock, pytest.raises(PublishUnknown, match=r"did not confirm 1 messages within 0\.3 s"):
        sender.publish([letter()], SOON)

    assert SOON <= clock.seconds < SOON + 2


@pytest.mark.parametrize(("silence", "links"), [(0.1, 2), (4.0, 1)])
def test_only_a_long_silence_is_taken_for_the_end_of_the_connection(
    server: Server, sender: Sender, monkeypatch: pytest.MonkeyPatch, silence: float, links: int
) -> None:
    """A caller in a hurry must not cost the others their connection, nor a dead one be used again and again."""
    monkeypatch.setattr(blocking, "_SILENT_SECONDS", silence)
    server.on_publish = peers.ignore
    with pytest.raises(PublishUnknown):
        sender.publish([letter("a")], SOON)

    server.on_publish = peers.confirm
    sender.publish([letter("b")], LONG)

    assert len(server.links) == links


def test_a_late_confirm_is_nobody_elses(server: Server, sender: Sender) -> None:
    held: list[Published] = []
    server.on_publish = lambda link, found: held.append(found)
    with pytest.raises(PublishUnknown):
        sender.publish([letter("late")], SOON)

    def confirm_the_old_one_only(link: Link, found: Published) -> None:
        link.say(Basic.Ack(held[0].tag), found.channel)

    server.on_publish = confirm_the_old_one_only
    with pytest.raises(PublishUnknown):
        sender.publish([letter("new")], SOON)


def test_a_connection_that_breaks_before_the_confirm_leaves_it_unknown_and_the_next_goes_on_a_new_one(
    server: Server, sender: Sender
) -> None:
    def hang_up(link: Link, found: Published) -> None:
        raise peers.Gone

    server.on_publish = hang_up
    with pytest.raises(PublishUnknown, match="broke"):
        sender.publish([letter("a")], LONG)
    server.on_publish = peers.confirm
    sender.publish([letter("b")], LONG)

    assert (len(server.links), bodies(server)) == (2, ["a", "b"])


def test_a_connection_that_breaks_in_the_middle_of_a_large_message(server: Server, sender: Sender) -> None:
    sender.publish([letter("a")], LONG)
    link = server.links[0]
    published = link._published

    def break_off(channel: int, said: Any) -> None:
        link.read()
        raise peers.Gone

    link._published = break_off  # type: ignore[method-assign]
    with pytest.raises(PublishUnknown):
        sender.publish([letter("x" * 20_000_000)], LONG)
    link._published = published  # type: ignore[method-assign]


def test_a_connection_that_was_closed_in_a_pause_costs_nothing(
    server: Server, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocking, "_IDLE_SECONDS", 0.0)
    sender.publish([letter("a")], LONG)
    server.links[0].sock.shutdown(socket.SHUT_RDWR)

    sender.publish([letter("b")], LONG)

    assert (len(server.links), bodies(server)) == (2, ["a", "b"])


def test_no_broker_is_a_failure_with_the_reason_within_the_deadline(server: Server) -> None:
    server.on_link = peers.silent
    sender = Sender(failover(server.url), Topology())

    with Clock() as clock, pytest.raises(PublishFailed, match="nothing was sent: cannot connect to amqp://guest@127"):
        sender.publish([letter()], SOON)

    assert clock.seconds < SOON + 2


def test_headers_too_large_for_a_frame_cost_nobody_else_anything(server: Server, sender: Sender) -> None:
    with pytest.raises(MessageTooLarge):
        sender.publish([letter("a"), Letter("", "q", bytes(140_000), b"x", True, "q")], LONG)
    sender.publish([letter("b")], LONG)

    assert (len(server.links), bodies(server)) == (1, ["b"])


def test_a_queue_that_cannot_be_is_the_callers_error(server: Server, sender: Sender) -> None:
    with pytest.raises(ImproperlyConfigured, match="begin with amq"):
        sender.publish([letter(queue="amq.x")], LONG)


# Blocked


def blocking_after(first: int) -> Any:
    def confirm_and_block(link: Link, found: Published) -> None:
        link.send(method(Basic.Ack(found.tag), found.channel))
        if found.tag == first:
            link.say(Conn.Blocked("low on memory"))

    return confirm_and_block


@pytest.mark.parametrize("queue", ["q", "never seen before"])
def test_a_broker_short_of_memory_is_named_within_the_deadline(server: Server, sender: Sender, queue: str) -> None:
    server.on_publish = blocking_after(2)
    sender.publish([letter("a")], LONG)
    wire = sender.wire(time.monotonic() + LONG)
    server.links[0].say(Conn.Blocked("low on memory"))
    assert wire.connection.wait(lambda: wire.connection.blocked is not None, time.monotonic() + 5)

    with Clock() as clock, pytest.raises(PublishFailed, match=r"takes no messages \(low on memory\)"):
        sender.publish([letter("b", queue)], SOON)

    assert SOON <= clock.seconds < SOON + 2
    assert bodies(server) == ["a"]


def test_what_waits_for_a_blocked_broker_goes_when_it_takes_messages_again(server: Server, sender: Sender) -> None:
    sender.publish([letter("a")], LONG)
    wire = sender.wire(time.monotonic() + LONG)
    server.links[0].say(Conn.Blocked("low on memory"))
    wire.connection.wait(lambda: wire.connection.blocked is not None, time.monotonic() + 5)
    waiting = Doing(lambda: sender.publish([letter("b")], LONG))

    server.links[0].say(Conn.Unblocked())

    assert waiting.over(5) and waiting.error is None
    assert bodies(server) == ["a", "b"]


def test_a_broker_that_blocks_before_it_confirms_is_named(server: Server, sender: Sender) -> None:
    server.on_publish = lambda link, found: link.say(Conn.Blocked("low on disk"))

    with pytest.raises(PublishUnknown, match="takes no messages: low on disk"):
        sender.publish([letter()], SOON)


def test_an_alarm_that_has_just_ended_is_named_too(server: Server, sender: Sender) -> None:
    def sound_and_end(link: Link, found: Published) -> None:
        link.say(Conn.Blocked("low on disk"))
        link.say(Conn.Unblocked())

    server.on_publish = sound_and_end

    with pytest.raises(PublishUnknown, match="took no messages: low on disk"):
        sender.publish([letter()], SOON)


# Threads


def test_sixteen_threads_share_one_connection_and_keep_their_own_order(server: Server, sender: Sender) -> None:
    def send(name: int) -> None:
        for number in range(20):
            sender.publish([letter(f"{name}:{number}")], LONG)

    threads = [Doing(lambda name=name: send(name)) for name in range(16)]  # type: ignore[misc]

    assert all(thread.over(20) for thread in threads)
    assert [thread.error for thread in threads] == [None] * 16
    assert len(server.links) == 1
    for name in range(16):
        own = [body for body in bodies(server) if body.startswith(f"{name}:")]
        assert own == [f"{name}:{number}" for number in range(20)]


def test_each_thread_hears_of_its_own_messages(server: Server, sender: Sender) -> None:
    """Refused, returned and taken, all to one queue and all at once."""

    def by_name(link: Link, found: Published) -> None:
        if found.data.startswith(b"bad"):
            link.say(Basic.Nack(found.tag), found.channel)
            return
        if found.data.startswith(b"lost"):
            link.send(
                method(Basic.Return(312, "NO_ROUTE", "", "q"), found.channel) + content(found.channel, found.data)
            )
        link.say(Basic.Ack(found.tag), found.channel)

    server.on_publish = by_name
    kinds = {"good": None, "bad": Nacked, "lost": QueueNotFound}

    def send(kind: str, name: int) -> list[type | None]:
        found: list[type | None] = []
        for number in range(10):
            try:
                sender.publish([letter(f"{kind}{name}:{number}")], LONG)
                found.append(None)
            except (PublishFailed, QueueNotFound) as error:
                found.append(type(error))
        return found

    threads = {
        (kind, name): Doing(lambda kind=kind, name=name: send(kind, name))  # type: ignore[misc]
        for kind in kinds
        for name in range(4)
    }

    for (kind, _), thread in threads.items():
        assert thread.over(20) and thread.error is None
        assert thread.answer == [kinds[kind]] * 10


def test_a_thread_in_a_hurry_does_not_wait_for_one_that_is_not(server: Server, sender: Sender) -> None:
    asked = threading.Event()
    server.on_method[Queue.Declare] = lambda link, channel, found: asked.set()
    patient = Doing(lambda: sender.publish([letter("a", "one")], 5))
    assert asked.wait(5)

    with Clock() as clock, pytest.raises(PublishFailed, match="nothing was sent: .*other threads were busy"):
        sender.publish([letter("b", "two")], SOON)

    assert clock.seconds < SOON + 2
    assert not patient.over(0)
    sender.close()
    assert patient.over(5)


def test_a_missing_exchange_is_the_error_of_who_named_it(server: Server, sender: Sender) -> None:
    closed = threading.Event()
    held: list[Published] = []

    def close_over(link: Link, found: Published) -> None:
        if found.exchange == "gone":
            link.say(Channel.Close(404, "NOT_FOUND - no exchange 'gone' in vhost '/'", 60, 40), found.channel)
            link.tags.pop(found.channel)
            closed.set()
        elif closed.is_set():
            peers.confirm(link, found)
        else:
            held.append(found)

    server.on_publish = close_over
    innocent = Doing(lambda: sender.publish([letter("a")], LONG))
    while not held:
        pass

    with pytest.raises(QueueNotFound, match="no exchange 'gone'"):
        sender.publish([letter("b", "key", "gone")], LONG)
    assert innocent.over(5) and isinstance(innocent.error, PublishUnknown)
    sender.publish([letter("a")], LONG)

    assert len(server.links) == 1, "the connection, which others may be using, is still good"


# Processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_connection_of_its_own_and_the_parents_goes_on(server: Server, sender: Sender) -> None:
    sender.publish([letter("parent")], LONG)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sender.publish([letter("child")], LONG)
            sender.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    sender.publish([letter("parent again")], LONG)

    assert bodies(server) == ["parent", "child", "parent again"]
    assert [link.heard.count("Basic.Publish") for link in server.links] == [2, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_only_closes_says_nothing_on_its_parents_connection(server: Server, sender: Sender) -> None:
    sender.publish([letter("parent")], LONG)
    child = os.fork()
    if child == 0:
        sender.close()
        os._exit(0)
    os.waitpid(child, 0)

    sender.publish([letter("again")], LONG)

    assert len(server.links) == 1 and bodies(server) == ["parent", "again"]


def test_closing_says_goodbye(server: Server, sender: Sender) -> None:
    sender.publish([letter("a")], LONG)

    sender.close()
    sender.close()
    server.close()

    assert server.links[0].heard[-1] == "Connection.Close"
