"""The blocking pump against a peer that is bytes only."""

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pamqp import commands
from tests.unit.links.amqp import server as peers
from tests.unit.links.amqp.peer import deliver, method
from tests.unit.links.amqp.server import Link, Server, serving

from leveret.errors import OperationalError
from leveret.links.amqp import blocking
from leveret.links.amqp.address import Failover, addresses
from leveret.links.amqp.blocking import BlockingConnection, connect
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost
from leveret.links.amqp.protocol.events import Delivered
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions

Basic, Channel, Conn, Queue = commands.Basic, commands.Channel, commands.Connection, commands.Queue
SOON = 0.3
"""A deadline that passes in a test."""
LONG = 30.0
"""One that must not."""


def failover(*urls: str, **options: Any) -> Failover:
    return Failover(addresses(Url(";".join(urls)), DriverOptions(**options)), "round-robin", 0.5)


def opened(url: str, **options: Any) -> BlockingConnection:
    return connect(failover(url, **options), time.monotonic() + LONG)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def at(seconds: float) -> float:
    return time.monotonic() + seconds


class Clock:
    """How long something took."""

    def __enter__(self) -> "Clock":
        self._began = time.monotonic()
        return self

    def __exit__(self, *error: object) -> None:
        self.seconds = time.monotonic() - self._began


class Doing:
    """A thread whose end and error can be looked at."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.error: BaseException | None = None
        self.answer: Any = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self.answer = work()
        except BaseException as error:
            self.error = error

    def over(self, seconds: float = 10.0) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()


# Opening


def test_a_connection_is_opened_called_and_closed(server: Server) -> None:
    connection = opened(server.url)

    channel = connection.open_channel(at(LONG))
    answer = connection.call(channel, Queue.Declare(queue="q"), at(LONG))
    connection.close()

    assert isinstance(answer, Queue.DeclareOk)
    assert connection.frame_max == 131_072
    (link,) = server.links
    assert link.heard[:2] == ["Channel.Open", "Queue.Declare"]
    assert not connection.alive()


def test_everything_may_come_in_single_bytes(server: Server) -> None:
    server.chunk = 1

    connection = opened(server.url)

    assert connection.call(connection.open_channel(at(LONG)), Queue.Declare(queue="q"), at(LONG)).message_count == 0
    connection.close()


@pytest.mark.parametrize("mood", [peers.silent, peers.deaf])
def test_who_never_answers_is_given_up_at_the_deadline(server: Server, mood: Callable[[Link], None]) -> None:
    server.on_link = mood

    with Clock() as clock, pytest.raises(OperationalError, match=r"cannot connect to amqp://guest@127\.0\.0\.1"):
        connect(failover(server.url), at(SOON))

    assert SOON <= clock.seconds < SOON + 2


def test_a_broker_has_its_own_time_even_where_there_is_more(server: Server) -> None:
    server.on_link = peers.silent

    with Clock() as clock, pytest.raises(OperationalError, match="did not finish the handshake in time"):
        connect(failover(f"{server.url}?connection_timeout=200"), at(LONG))

    assert clock.seconds < 2


def test_the_next_broker_is_tried_and_stays_the_first_choice(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        dead = f"amqp://127.0.0.1:{nobody.getsockname()[1]}//"
    brokers = failover(dead, server.url)

    connect(brokers, at(LONG)).close()

    assert brokers.present.port == server.port


def test_no_broker_at_all_is_one_error_with_the_reason(server: Server) -> None:
    server.on_link = lambda link: link.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n")

    with pytest.raises(OperationalError, match=r"127\.0\.0\.1:\d+/: .*is TLS needed on it"):
        connect(failover(server.url), at(LONG))


def test_a_refused_login_is_the_brokers_words(server: Server) -> None:
    def refuse(link: Link) -> None:
        link._exactly(8)
        link.send(peers.start())
        link.read()
        link.say(Conn.Close(403, "ACCESS_REFUSED - Login was refused", 0, 0))
        link.read()

    server.on_link = refuse

    with pytest.raises(OperationalError, match="403 ACCESS_REFUSED - Login was refused"):
        connect(failover(server.url), at(LONG))


# Calling


def test_a_refused_method_closes_its_channel_only(server: Server) -> None:
    refused = ChannelClosed(404, "NOT_FOUND - no queue")
    server.on_method[Queue.Declare] = lambda link, channel, _: link.say(
        Channel.Close(404, "NOT_FOUND - no queue", 0, 0), channel
    )
    connection = opened(server.url)
    first = connection.open_channel(at(LONG))

    with pytest.raises(ChannelClosed, match=str(refused)):
        connection.call(first, Queue.Declare(queue="q"), at(LONG))

    assert connection.open_channel(at(LONG)) == first, "its number is free again"
    connection.close()


@pytest.mark.parametrize(("silence", "alive"), [(0.1, False), (4.0, True)])
def test_a_method_without_an_answer_ends_at_the_deadline(
    server: Server, monkeypatch: pytest.MonkeyPatch, silence: float, alive: bool
) -> None:
    monkeypatch.setattr(blocking, "_SILENT_SECONDS", silence)
    server.on_method[Queue.Declare] = lambda link, channel, found: None
    connection = opened(server.url)
    channel = connection.open_channel(at(LONG))

    with Clock() as clock, pytest.raises(OperationalError, match=r"did not answer Queue\.Declare in time"):
        connection.call(channel, Queue.Declare(queue="q"), at(SOON))

    assert clock.seconds < SOON + 2
    assert connection.alive() is alive
    connection.abort()


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(server: Server) -> None:
    asked: list[int] = []

    def answer_late(link: Link, channel: int, found: Any) -> None:
        asked.append(channel)
        if len(asked) == 2:
            link.say(Queue.DeclareOk("", 1, 0), channel)
            link.say(Queue.DeclareOk("", 2, 0), channel)

    server.on_method[Queue.Declare] = answer_late
    connection = opened(server.url)
    channel = connection.open_channel(at(LONG))
    with pytest.raises(OperationalError):
        connection.call(channel, Queue.Declare(queue="q"), at(SOON))

    assert connection.call(channel, Queue.Declare(queue="q"), at(LONG)).message_count == 2
    connection.close()


def test_a_channel_that_opens_too_late_is_closed_and_its_number_free_again(server: Server) -> None:
    held: list[tuple[Link, int]] = []
    server.on_method[Channel.Open] = lambda link, channel, found: held.append((link, channel))
    connection = opened(server.url)
    with pytest.raises(OperationalError, match=r"did not answer Channel\.Open"):
        connection.open_channel(at(SOON))
    connection.flush()

    del server.on_method[Channel.Open]
    ((link, number),) = held
    link.say(Channel.OpenOk(), number)
    connection.call(connection.open_channel(at(LONG)), Queue.Declare(queue="q"), at(LONG))

    assert number in connection._channels.free
    connection.close()


def test_a_blocked_broker_is_named_where_it_does_not_answer(server: Server) -> None:
    server.on_method[Queue.Declare] = lambda link, channel, found: link.say(Conn.Blocked("low on disk"))
    connection = opened(server.url)
    channel = connection.open_channel(at(LONG))

    with pytest.raises(OperationalError, match="takes no messages: low on disk"):
        connection.call(channel, Queue.Declare(queue="q"), at(SOON))


def test_a_method_amqp_cannot_say_leaves_the_connection_as_it_was(server: Server) -> None:
    connection = opened(server.url)
    channel = connection.open_channel(at(LONG))

    with pytest.raises(Exception, match="cannot be written"):
        connection.call(channel, Queue.Declare(queue="q", arguments={"x": {1}}), at(LONG))

    assert isinstance(connection.call(channel, Queue.Declare(queue="q"), at(LONG)), Queue.DeclareOk)
    connection.close()


# Several threads


def test_who_writes_to_a_peer_that_does_not_read_ends_at_its_own_deadline(server: Server) -> None:
    go = threading.Event()

    def stop_reading(link: Link) -> None:
        link.shake()
        go.wait()

    server.on_link = stop_reading
    connection = opened(server.url)
    # Another thread reads meanwhile, for much longer.
    reading = Doing(lambda: connection.wait(lambda: False, at(LONG)))

    with Clock() as clock, pytest.raises(ConnectionLost, match="could not be written in time"):
        connection.send(b"\x08\0\0\0\0\0\0\xce" * 5_000_000, at(SOON))

    assert clock.seconds < SOON + 2
    assert reading.over(5)
    go.set()


def test_who_waits_for_a_turn_to_write_ends_at_its_own_deadline(server: Server) -> None:
    go = threading.Event()

    def stop_reading(link: Link) -> None:
        link.shake()
        go.wait()

    server.on_link = stop_reading
    connection = opened(server.url)
    writing = Doing(lambda: connection.send(b"\x08\0\0\0\0\0\0\xce" * 5_000_000, at(5)))
    while connection._writing.acquire(blocking=False):
        connection._writing.release()

    with Clock() as clock, pytest.raises(OperationalError, match="other threads were busy"):
        connection.call(9, Channel.Open(), at(SOON))

    assert clock.seconds < SOON + 2
    assert connection.error is None and not writing.over(0)
    connection.abort()
    assert writing.over(5)
    go.set()


def test_who_reads_goes_on_while_another_cannot_write(server: Server) -> None:
    begun, go = threading.Event(), threading.Event()

    def speak_and_not_listen(link: Link) -> None:
        link.shake()
        begun.wait()
        link.send(b"".join(deliver(tag) for tag in range(1, 51)))
        go.wait()

    server.on_link = speak_and_not_listen
    connection = opened(server.url)
    came: list[Delivered] = []

    def take(message: Delivered) -> None:
        came.append(message)
        connection.owe(method(Basic.Ack(message.tag), 1))

    connection.on_delivered = take
    writing = Doing(lambda: connection.send(b"\x08\0\0\0\0\0\0\xce" * 5_000_000, at(10)))
    while connection._line.writable():
        pass
    begun.set()

    assert connection.wait(lambda: len(came) == 50, at(5))
    assert not writing.over(0)
    connection.abort()
    assert writing.over(5)
    go.set()


def test_what_a_reader_owes_is_sent(server: Server) -> None:
    def talk(link: Link) -> None:
        link.shake()
        for tag in (1, 2, 3):
            link.send(deliver(tag))
        assert [link.read()[1].delivery_tag for _ in range(3)] == [1, 2, 3]
        link.say(Basic.Ack(7), 1)
        link.read()

    server.on_link = talk
    heard: list[int] = []
    connection = opened(server.url)
    connection.on_delivered = lambda message: connection.owe(method(Basic.Ack(message.tag), 1))
    connection.on_confirmed = lambda confirm: heard.append(confirm.tag)

    assert connection.wait(lambda: heard == [7], at(5))
    connection.close()


def test_an_end_wakes_everybody_who_waits(server: Server) -> None:
    connection = opened(server.url)
    waits = [Doing(lambda: connection.wait(lambda: False, at(LONG))) for _ in range(4)]
    while connection._reading.turn.acquire(blocking=False):
        connection._reading.turn.release()

    with Clock() as clock:
        connection.abort()
        ended = [wait.over(5) for wait in waits]

    assert ended == [True] * 4
    assert clock.seconds < 2


def test_another_thread_reads_on_when_the_reader_has_what_it_wanted(server: Server) -> None:
    """Each waits for a message of its own; whoever reads, all get theirs."""
    connection = opened(server.url)
    came: list[bytes] = []
    connection.on_delivered = lambda message: came.append(message.body)
    names = [b"%d" % number for number in range(8)]
    waits = [Doing(lambda name=name: connection.wait(lambda: name in came, at(LONG))) for name in names]  # type: ignore[misc]

    for name in names:
        server.links[0].send(deliver(1, name))

    assert all(wait.over(5) and wait.answer for wait in waits)
    connection.close()


@pytest.mark.parametrize(
    ("said", "alone", "others"),
    [
        (method(Basic.Ack(7), 1), True, []),
        (method(Basic.Ack(7, True), 1), False, [7]),
        (method(Basic.Nack(7), 1), False, [7]),
        (method(Basic.Ack(6), 1) + method(Basic.Ack(7), 1), False, [6, 7]),
        (deliver(1) + method(Basic.Ack(7), 1), False, [7]),
    ],
)
def test_a_lone_answer_that_was_expected_is_no_event_and_all_else_is(
    server: Server, said: bytes, alone: bool, others: list[int]
) -> None:
    def talk(link: Link) -> None:
        link.shake()
        link.read()
        link.send(said)
        link.read()

    server.on_link = talk
    heard: list[int] = []
    connection = opened(server.url)
    connection.on_confirmed = lambda confirm: heard.append(confirm.tag)

    answer = connection.exchange(method(Basic.Ack(1), 1), at(5), lambda: method(Basic.Ack(7), 1))

    assert answer is alone
    assert connection.wait(lambda: heard == others, at(5))
    connection.close()


def test_who_sends_while_another_reads_has_its_answer_heard_by_that_one(server: Server) -> None:
    def talk(link: Link) -> None:
        link.shake()
        link.read()
        link.say(Basic.Ack(7), 1)
        link.read()

    server.on_link = talk
    heard: list[int] = []
    connection = opened(server.url)
    connection.on_confirmed = lambda confirm: heard.append(confirm.tag)
    reader = Doing(lambda: connection.wait(lambda: heard == [7], at(LONG)))
    while connection._reading.turn.acquire(blocking=False):
        connection._reading.turn.release()

    with Clock() as clock:
        assert not connection.exchange(method(Basic.Ack(1), 1), at(5), lambda: method(Basic.Ack(7), 1))
        assert connection.wait(lambda: heard == [7], at(LONG))

    assert reader.over(5)
    assert clock.seconds < 2
    connection.close()


@pytest.mark.parametrize("idle", [0.0, 100.0])
def test_a_connection_that_was_closed_meanwhile_is_seen_after_a_pause(
    server: Server, monkeypatch: pytest.MonkeyPatch, idle: float
) -> None:
    monkeypatch.setattr(blocking, "_IDLE_SECONDS", idle)
    connection = opened(server.url)
    server.links[0].sock.shutdown(socket.SHUT_RDWR)
    while not connection._line.readable(5):
        pass

    assert connection.alive() == (idle > 0)
    connection.abort()


def test_a_brokers_goodbye_is_its_reason(server: Server) -> None:
    connection = opened(server.url)
    server.links[0].say(Conn.Close(320, "CONNECTION_FORCED - shutdown", 0, 0))

    connection.wait(lambda: False, at(5))

    assert isinstance(connection.error, ConnectionLost)
    assert (connection.error.code, "CONNECTION_FORCED" in str(connection.error)) == (320, True)
    with pytest.raises(ConnectionLost, match="CONNECTION_FORCED"):
        connection.send(b"x", at(5))


def test_bytes_that_are_no_amqp_end_it(server: Server) -> None:
    connection = opened(server.url)
    server.links[0].send(b"rubbish" * 10)

    connection.wait(lambda: False, at(5))

    assert "no AMQP frame" in str(connection.error)


def test_a_cancelled_consumer_is_a_lost_channel(server: Server) -> None:
    connection = opened(server.url)
    lost: list[int] = []
    connection.on_channel_lost = lambda channel, error: lost.append(channel)
    server.links[0].say(Basic.Cancel("replies"), 4)

    assert connection.wait(lambda: lost == [4], at(5))
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_lets_go_without_a_word(server: Server) -> None:
    connection = opened(server.url)
    child = os.fork()
    if child == 0:
        connection.drop()
        os._exit(0 if connection.error is not None else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert connection.open_channel(at(5)) == 1
    assert server.links[0].heard == ["Channel.Open"]
    connection.close()


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    pem, key = folder / "cert.pem", folder / "key.pem"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        ["openssl", *command.split(), "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-keyout", str(key), "-out", str(pem)],
        check=True,
        capture_output=True,
    )
    return pem, key


@pytest.fixture
def secured(certificate: tuple[Path, Path]) -> Iterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving(context) as made:
        yield made


def test_tls_for_many_threads_at_once(secured: Server, certificate: tuple[Path, Path]) -> None:
    connection = opened(f"{secured.url}?cacertfile={certificate[0]}")
    channels = [connection.open_channel(at(LONG)) for _ in range(8)]

    def work(channel: int) -> int:
        name = f"q{channel}".ljust(200, "x")
        return sum(connection.call(channel, Queue.Declare(queue=name), at(LONG)).message_count == 0 for _ in range(20))

    threads = [Doing(lambda channel=channel: work(channel)) for channel in channels]  # type: ignore[misc]

    assert all(thread.over(20) for thread in threads)
    assert [thread.error for thread in threads] == [None] * 8
    assert [thread.answer for thread in threads] == [20] * 8
    connection.close()


def test_tls_records_may_come_in_parts(secured: Server, certificate: tuple[Path, Path]) -> None:
    secured.chunk = 1

    connection = opened(f"{secured.url}?cacertfile={certificate[0]}")

    assert connection.open_channel(at(LONG)) == 1
    connection.close()


def test_a_certificate_nobody_vouches_for_is_refused_and_named(secured: Server) -> None:
    with pytest.raises(OperationalError, match="certificate verify failed"):
        connect(failover(secured.url), at(LONG))


def test_verification_can_be_turned_off_by_name(secured: Server) -> None:
    opened(secured.url, tls={"cert_reqs": ssl.CERT_NONE}).close()
