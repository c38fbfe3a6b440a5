"""The broker's side of the wire, byte by byte, as pamqp writes and reads it."""

from typing import Any

from pamqp import body, commands, frame, header, heartbeat
from pamqp.common import FieldTable

from leveret.links.amqp.protocol.connection import Connection
from leveret.links.amqp.protocol.events import Answered, Event
from leveret.links.amqp.protocol.handshake import Credentials


def method(found: Any, channel: int = 0) -> bytes:
    return frame.marshal(found, channel)


def start(mechanisms: str = "PLAIN AMQPLAIN", properties: FieldTable | None = None) -> bytes:
    return method(commands.Connection.Start(0, 9, properties or {"product": "RabbitMQ"}, mechanisms, "en_US"))


def tune(channels: int = 2047, frame_max: int = 131_072, heartbeat: int = 60) -> bytes:
    return method(commands.Connection.Tune(channels, frame_max, heartbeat))


def open_ok() -> bytes:
    return method(commands.Connection.OpenOk())


def beat() -> bytes:
    return frame.marshal(heartbeat.Heartbeat(), 0)


def content(channel: int, data: bytes, properties: dict[str, Any] | None = None, size: int = 131_064) -> bytes:
    head = header.ContentHeader(0, len(data), commands.Basic.Properties(**(properties or {})))
    parts = [method(head, channel)]
    parts += [method(body.ContentBody(data[at : at + size]), channel) for at in range(0, len(data), size)]
    return b"".join(parts)


def deliver(tag: int, data: bytes = b"[]", *, channel: int = 1, redelivered: bool = False, **properties: Any) -> bytes:
    found = commands.Basic.Deliver("consumer", tag, redelivered, "exchange", "key")
    return method(found, channel) + content(channel, data, properties)


def opened(**credentials: Any) -> Connection:
    """A connection past its handshake, with nothing left to send."""
    connection = Connection(Credentials(**credentials))
    connection.begin()
    connection.receive(start() + tune() + open_ok())
    connection.data_to_send()
    return connection


def sent(data: bytes) -> list[tuple[int, Any]]:
    """Channel and frame of everything in `data`, which must be whole frames (or the protocol header)."""
    found = []
    while data:
        used, channel, one = frame.unmarshal(data)
        assert used
        found.append((channel, one))
        data = data[used:]
    return found


def plain(found: Any) -> tuple[str, dict[str, Any]]:
    """A method's name and arguments: pamqp's objects have no equality."""
    return found.name, dict(found)


def comparable(events: list[Event]) -> list[Any]:
    return [(one.channel, *plain(one.frame)) if isinstance(one, Answered) else one for one in events]
