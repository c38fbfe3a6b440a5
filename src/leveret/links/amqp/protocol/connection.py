"""One AMQP 0-9-1 connection without I/O: bytes in, events out (the shape of h11 and websockets).

The law: whatever the peer sends ends in events or in one `ProtocolError`; after that nothing is believed any more.
Neither clock nor socket is known here: the pumps (`aio`, `blocking`) bring bytes, send `data_to_send()` and keep time.
"""

import struct
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from pamqp import commands, frame
from pamqp.exceptions import AMQPError, PAMQPException

from leveret.links.amqp.protocol import frames
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.events import (
    Answered,
    Blocked,
    ChannelLost,
    Closed,
    Confirmed,
    Delivered,
    Event,
    Got,
    Opened,
    Returned,
    Unblocked,
)

_HEAD = struct.Struct(">BHI")
_U32 = struct.Struct(">I")
_TAG = struct.Struct(">QB")
_CONTENT = struct.Struct(">HHQ")

LARGEST_BODY = 512 * 1024 * 1024
"""RabbitMQ's own hard limit; what claims to be larger is no message."""

CLIENT_CAPABILITIES = {
    "publisher_confirms": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
}


class Credentials(Struct, frozen=True, kw_only=True):
    """What the handshake needs. `mechanism` EXTERNAL takes the user from the client's certificate."""

    user: str = "guest"
    password: str = "guest"
    mechanism: str = "PLAIN"
    virtual_host: str = "/"
    heartbeat: int = 20
    """Seconds; 0 asks for none. The broker's own is taken where it is shorter."""
    name: str = "leveret"
    """What the broker's management pages show."""

    def response(self) -> str:
        return "" if self.mechanism == "EXTERNAL" else f"\0{self.user}\0{self.password}"


class _Partial:
    """A message whose content frames have not all come."""

    __slots__ = ("body", "fields", "method", "missing", "properties")

    def __init__(self, method: int, fields: tuple[Any, ...]) -> None:
        self.method, self.fields = method, fields
        self.properties: bytes | None = None
        self.missing = -1
        self.body: list[bytes] = []


class Connection:
    """Call `begin`, then feed `receive` and send `data_to_send` after each; `opened` says when channels may be used."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._tail = b""
        self._out: list[bytes] = []
        self._partial: dict[int, _Partial] = {}
        self._failed = False
        self.opened = False
        self.closed = False
        self.frame_max = 131_072
        self.heartbeat = 0
        self.server: Mapping[str, Any] = {}
        """The broker's own words about itself (`version`, `capabilities`)."""

    # Out

    def begin(self) -> None:
        self._out.append(frames.PROTOCOL_HEADER)

    def data_to_send(self) -> bytes:
        """Everything not yet sent; empty when there is nothing."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def write(self, data: bytes) -> None:
        """Frames made by `frames` or `method`."""
        self._out.append(data)

    def send(self, channel: int, method: Any) -> None:
        """Any method, as pamqp's frame object."""
        self._out.append(marshal(channel, method))

    def close(self) -> None:
        """Say goodbye; the peer answers and closes."""
        if not self.closed:
            self.send(0, commands.Connection.Close(200, "bye", 0, 0))

    # In

    def receive(self, data: bytes) -> list[Event]:
        """Raises `ProtocolError`; what was understood before it is lost with the connection."""
        if self._failed:
            raise ProtocolError("the connection has failed before")
        events: list[Event] = []
        try:
            self._receive(data, events)
        except ProtocolError:
            self._failed = True
            raise
        except (struct.error, IndexError, ValueError, KeyError, TypeError, AMQPError, PAMQPException) as error:
            self._failed = True
            raise ProtocolError(f"the broker sent what is no AMQP: {type(error).__name__}: {error}") from error
        return events

    def _receive(self, data: bytes, events: list[Event]) -> None:
        if self._tail:
            data = self._tail + data
            self._tail = b""
        at, end = 0, len(data)
        unpack, largest, partial = _HEAD.unpack_from, self.frame_max, self._partial
        while end - at >= 8:
            kind, channel, size = unpack(data, at)
            if size > largest or kind not in _KINDS:
                raise self._no_frame(data, at, size)
            stop = at + 7 + size
            if stop >= end:
                break
            if data[stop] != frames.END:
                raise ProtocolError("a frame does not end with its end octet")
            payload = at + 7
            if kind == frames.METHOD:
                if channel in partial:
                    raise ProtocolError("a method stands between the frames of a message")
                self._method(channel, data, payload, stop, events)
            elif kind == frames.HEARTBEAT:
                pass
            else:
                self._content(kind, channel, data, payload, stop, events)
            at = stop + 1
        if at < end:
            self._tail = data[at:] if at else data

    def _no_frame(self, data: bytes, at: int, size: int) -> ProtocolError:
        if data[at : at + 4] == b"AMQP":
            version = ".".join(map(str, data[at + 5 : at + 8]))
            return ProtocolError(f"the broker speaks AMQP {version}, not 0-9-1")
        return ProtocolError(f"no AMQP frame (size {size}): is this a RabbitMQ port, and is TLS needed on it?")

    def _method(self, channel: int, data: bytes, at: int, stop: int, events: list[Event]) -> None:
        (method,) = _U32.unpack_from(data, at)
        if method == frames.DELIVER:
            end = at + 5 + data[at + 4]
            consumer = str(data[at + 5 : end], "utf-8")
            tag, redelivered = _TAG.unpack_from(data, end)
            exchange, at = _short(data, end + 9)
            key, at = _short(data, at)
            self._partial[channel] = _Partial(method, (consumer, tag, bool(redelivered & 1), exchange, key))
        elif method in (frames.ACK, frames.NACK):
            tag, bits = _TAG.unpack_from(data, at + 4)
            events.append(Confirmed(channel, tag, bool(bits & 1), method == frames.ACK))
            return
        elif method == frames.GET_OK:
            tag, redelivered = _TAG.unpack_from(data, at + 4)
            exchange, at = _short(data, at + 13)
            key, at = _short(data, at)
            at += 4
            self._partial[channel] = _Partial(method, ("", tag, bool(redelivered & 1), exchange, key))
        elif method == frames.RETURN:
            code = data[at + 4] << 8 | data[at + 5]
            text, at = _short(data, at + 6)
            exchange, at = _short(data, at)
            key, at = _short(data, at)
            self._partial[channel] = _Partial(method, (code, text, exchange, key))
        elif method == frames.GET_EMPTY:
            events.append(Got(channel, None))
            return
        else:
            _, channel, found = frame.unmarshal(_framed(data, at, stop, channel))
            self._obey(channel, found, events)
            return
        if at > stop:
            raise ProtocolError("a method is longer than its frame")

    def _content(self, kind: int, channel: int, data: bytes, at: int, stop: int, events: list[Event]) -> None:
        partial = self._partial.get(channel)
        if partial is None:
            raise ProtocolError("a content frame belongs to no message")
        if kind == frames.HEADER:
            of_class, _, size = _CONTENT.unpack_from(data, at)
            if partial.properties is not None or of_class != 60 or size > LARGEST_BODY or stop < at + 14:
                raise ProtocolError("a content header is out of place or names an impossible size")
            partial.properties, partial.missing = data[at + 12 : stop], size
            if size:
                return
        else:
            if partial.properties is None or stop - at > partial.missing:
                raise ProtocolError("a content body is out of place or longer than announced")
            partial.body.append(data[at:stop])
            partial.missing -= stop - at
            if partial.missing:
                return
        del self._partial[channel]
        body = partial.body[0] if len(partial.body) == 1 else b"".join(partial.body)
        properties = partial.properties
        assert properties is not None
        if partial.method == frames.RETURN:
            events.append(Returned(*(channel, *partial.fields, properties, body)))
            return
        message = Delivered(*(channel, *partial.fields, properties, body))
        events.append(message if partial.method == frames.DELIVER else Got(channel, message))

    # Methods off the hot path

    def _obey(self, channel: int, method: Any, events: list[Event]) -> None:
        match method:
            case commands.Connection.Start():
                self._start(method)
            case commands.Connection.Tune():
                self._tune(method)
            case commands.Connection.OpenOk():
                self.opened = True
                events.append(Opened())
            case commands.Connection.Close():
                self.closed = True
                self.send(0, commands.Connection.CloseOk())
                events.append(Closed(method.reply_code or 0, method.reply_text))
            case commands.Connection.CloseOk():
                self.closed = True
                events.append(Closed(200, "closed"))
            case commands.Connection.Blocked():
                events.append(Blocked(method.reason))
            case commands.Connection.Unblocked():
                events.append(Unblocked())
            case commands.Channel.Close():
                self._partial.pop(channel, None)
                self.send(channel, commands.Channel.CloseOk())
                events.append(ChannelLost(channel, method.reply_code or 0, method.reply_text))
            case _:
                if not self.opened:
                    raise ProtocolError(f"{method.name} before the connection is open")
                events.append(Answered(channel, method))

    def _start(self, start: commands.Connection.Start) -> None:
        if self.opened:
            raise ProtocolError("a second handshake")
        self.server = dict(start.server_properties or {})
        mechanisms = str(start.mechanisms).split()
        mechanism = self._credentials.mechanism
        if mechanism not in mechanisms:
            raise ProtocolError(f"the broker offers no {mechanism} login (offered: {', '.join(mechanisms)})")
        properties: dict[str, Any] = {
            "product": "leveret",
            "connection_name": self._credentials.name,
            "capabilities": CLIENT_CAPABILITIES,
        }
        self.send(
            0,
            commands.Connection.StartOk(
                client_properties=properties, mechanism=mechanism, response=self._credentials.response()
            ),
        )

    def _tune(self, tune: commands.Connection.Tune) -> None:
        if self.opened:
            raise ProtocolError("a second handshake")
        offered, wanted = tune.heartbeat or 0, self._credentials.heartbeat
        self.heartbeat = min(offered, wanted) if offered and wanted else wanted
        self.frame_max = min(tune.frame_max or 131_072, 131_072)
        if self.frame_max < 4096:
            raise ProtocolError(f"the broker wants frames of at most {self.frame_max} bytes; AMQP's least is 4096")
        self.send(0, commands.Connection.TuneOk(tune.channel_max or 2047, self.frame_max, self.heartbeat))
        self.send(0, commands.Connection.Open(self._credentials.virtual_host))


_KINDS = frozenset((frames.METHOD, frames.HEADER, frames.BODY, frames.HEARTBEAT))


def marshal(channel: int, method: Any) -> bytes:
    return frame.marshal(method, channel)


def _framed(data: bytes, at: int, stop: int, channel: int) -> bytes:
    return data[at - 7 : stop + 1]


def _short(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return str(data[at + 1 : end], "utf-8"), end
