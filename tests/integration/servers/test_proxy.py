"""The proxy breaks a connection exactly where it is told to, and sees all that goes by."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import amqp
import pytest
from tests.integration.servers.clients import channel, declare, publish, take
from tests.servers.host.ports import claim_port
from tests.servers.proxy import Proxy
from tests.servers.rabbit.remote import Rabbit, Vhost
from tests.servers.wire.recorder import Recorder
from tests.servers.wire.rules import Action, Direction

BROKEN = (OSError, amqp.RecoverableConnectionError)


@pytest.fixture
def echo() -> Iterator[int]:
    """Start a server that sends back what it gets, on a thread a connection; answers its port."""
    door = socket.create_server(("127.0.0.1", 0))

    def serve(caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            while data := caller.recv(65_536):
                caller.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield door.getsockname()[1]
    door.shutdown(socket.SHUT_RDWR)
    door.close()


@pytest.fixture
def plain(echo: int) -> Iterator[Proxy]:
    with Proxy(echo, amqp=False) as proxy:
        yield proxy


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def receive(client: socket.socket) -> tuple[bytes, str]:
    """Read to the end; answers what came and how it ended."""
    received = b""
    try:
        while data := client.recv(65_536):
            received += data
    except ConnectionResetError:
        return received, "reset"
    return received, "end"


def test_the_second_publish_does_not_arrive(rabbit: Rabbit, rabbit_vhost: Vhost, rabbit_proxy: Proxy) -> None:
    rule = rabbit_proxy.on(Direction.TO_SERVER, "basic.publish", Action.CUT_BEFORE, nth=2)

    with channel(rabbit_proxy.port, rabbit_vhost.name) as through:
        declare(through, "tasks")
        publish(through, "tasks", "first")
        with pytest.raises(BROKEN):
            publish(through, "tasks", "second")

    rule.wait()
    with channel(rabbit.port, rabbit_vhost.name) as direct:
        assert (take(direct, "tasks"), take(direct, "tasks")) == ("first", None)


@pytest.mark.parametrize(
    ("direction", "method", "action", "arrives"),
    [
        (Direction.TO_SERVER, "basic.publish", Action.CUT_AFTER, True),
        (Direction.TO_SERVER, "basic.publish", Action.CUT_AMID, False),
        (Direction.TO_SERVER, "basic.publish", Action.DROP_AND_CUT, False),
        (Direction.TO_CLIENT, "basic.ack", Action.CUT_BEFORE, True),
    ],
)
def test_whether_a_message_arrives_is_the_rules_choice(
    rabbit: Rabbit,
    rabbit_vhost: Vhost,
    rabbit_proxy: Proxy,
    direction: Direction,
    method: str,
    action: Action,
    arrives: bool,
) -> None:
    body = "x" * 300_000
    rabbit_proxy.on(direction, method, action)

    with channel(rabbit_proxy.port, rabbit_vhost.name) as through:
        declare(through, "tasks")
        with pytest.raises(BROKEN):
            publish(through, "tasks", body)

    rabbit_proxy.wait_closed()
    with channel(rabbit.port, rabbit_vhost.name) as direct:
        assert arrived(direct, "tasks", arrives) == (body if arrives else None)


def arrived(direct: amqp.Channel, queue: str, expected: bool) -> str | None:
    """Take the message; one that is on its way through the server is waited for."""
    deadline = time.monotonic() + 5
    while (body := take(direct, queue)) is None and expected and time.monotonic() < deadline:
        time.sleep(0.01)
    return body


def test_a_black_hole_keeps_what_it_swallowed(rabbit: Rabbit, rabbit_vhost: Vhost, rabbit_proxy: Proxy) -> None:
    rule = rabbit_proxy.on(Direction.TO_CLIENT, "basic.ack", Action.BLACKHOLE)
    with channel(rabbit_proxy.port, rabbit_vhost.name) as through:
        declare(through, "tasks")
        sender = threading.Thread(target=publish, args=(through, "tasks", "kept"))
        sender.start()
        rule.wait()
        # That something does not come has no event to wait for.
        sender.join(0.2)
        held = sender.is_alive()

        rabbit_proxy.blackhole(False)
        sender.join(5)

        assert held
        assert not sender.is_alive()


def test_the_recorder_sees_each_method_with_its_arguments(rabbit_vhost: Vhost, rabbit_proxy: Proxy) -> None:
    recorder = rabbit_proxy.recorder
    assert recorder is not None

    with channel(rabbit_proxy.port, rabbit_vhost.name) as through:
        declare(through, "tasks", "quorum")
        through.basic_qos(0, 7, False)

    qos = recorder.wait("basic.qos-ok")[0]
    asked = recorder.methods("basic.qos", Direction.TO_SERVER)[0]
    assert (asked.arguments["prefetch_count"], asked.arguments["global"]) == (7, False)
    assert (asked.channel, asked.connection) == (qos.channel, 0)
    assert recorder.methods("queue.declare")[0].arguments["arguments"] == {"x-queue-type": "quorum"}
    assert recorder.methods()[0].name == "connection.start"


def test_the_recorder_knows_what_is_unlawful(rabbit: Rabbit, rabbit_vhost: Vhost) -> None:
    recorder = Recorder()
    with Proxy(rabbit.port, recorder=recorder) as proxy, channel(proxy.port, rabbit_vhost.name) as through:
        through.basic_qos(0, 7, True)
        through.queue_declare("lost", durable=False, auto_delete=False, arguments={"x-ha-policy": "all"})
        through.queue_declare("reply", durable=False, exclusive=True)

    with pytest.raises(AssertionError) as told:
        recorder.assert_lawful()

    assert [line.split(": ")[1].split(" declared")[0] for line in str(told.value).splitlines()[:3]] == [
        "basic.qos with global=true",
        "queue 'lost'",
        "queue 'lost' is neither durable nor exclusive",
    ]
    assert "reply" not in str(told.value)


@pytest.mark.parametrize("size", [1, 70_001])
def test_a_connection_is_cut_after_so_many_bytes(plain: Proxy, size: int) -> None:
    budget = plain.cut_after(Direction.TO_CLIENT, size)

    with dial(plain) as client:
        client.sendall(bytes(100_000))
        received = receive(client)

    budget.wait()
    assert received == (bytes(size), "reset")
    assert plain.sent(Direction.TO_CLIENT) == size


def test_all_connections_are_cut(plain: Proxy) -> None:
    with dial(plain) as one, dial(plain) as two:
        plain.wait_opened(2)

        assert plain.cut() == 2

        assert receive(one) == receive(two) == (b"", "reset")
    plain.wait_closed()
    assert (plain.opened, plain.open) == (2, 0)


def test_an_end_is_passed_on_as_an_end(plain: Proxy) -> None:
    with dial(plain) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)

        assert receive(client) == (b"last words", "end")
    plain.wait_closed()


def test_refusing_is_for_new_connections(plain: Proxy) -> None:
    with dial(plain) as client:
        plain.wait_opened(1)
        plain.refuse()
        with pytest.raises(ConnectionRefusedError):
            dial(plain)

        client.sendall(b"still here")
        assert client.recv(100) == b"still here"

    plain.refuse(False)
    dial(plain).close()


def test_a_client_without_server_is_reset() -> None:
    nobody = claim_port()

    with Proxy(nobody.number, amqp=False) as proxy:
        try:
            with dial(proxy) as client:
                heard = receive(client)
        except ConnectionResetError:  # before `connect` has returned
            heard = (b"", "reset")

    assert heard == (b"", "reset")

    nobody.release()


def test_everything_comes_later(plain: Proxy) -> None:
    plain.delay(0.1)

    with dial(plain) as client:
        asked = time.monotonic()
        client.sendall(b"ping")
        assert client.recv(100) == b"ping"

    assert 0.2 <= time.monotonic() - asked < 2


def test_a_proxy_ends_with_a_black_hole_on(echo: int) -> None:
    with Proxy(echo, amqp=False) as proxy:
        proxy.blackhole()
        client = dial(proxy)
        client.sendall(b"nobody hears")

    assert receive(client)[0] == b""
    client.close()
