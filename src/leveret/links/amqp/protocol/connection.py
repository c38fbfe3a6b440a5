"""One AMQP 0-9-1 connection without I/O: bytes in, events out (the shape of h11 and websockets).

The law: whatever the peer sends ends in events or in one `ProtocolError`; after that nothing is believed any more.
Neither clock nor socket is known here: the pumps (`aio`, `blocking`) bring bytes, send `data_to_send()` and keep time.
"""

import struct
from collections.abc import Mapping
from typing import Any

from pamqp import commands, frame
from pamqp.exceptions import PAMQPException

from leveret.errors import EncodeError
from leveret.links.amqp.protocol import frames
from leveret.links.amqp.protocol.contents import Contents
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.events import (
    Answered,
    Blocked,
    ChannelLost,
    Closed,
    Confirmed,
    Event,
    Got,
    Opened,
    Unblocked,
)
from leveret.links.amqp.protocol.handshake import Credentials, Handshake, read_start

_HEAD = struct.Struct(">BHI")
_U32 = struct.Struct(">I")
_TAG = struct.Struct(">QB")

_KINDS = frozenset((frames.METHOD, frames.HEADER, frames.BODY, frames.HEARTBEAT))
_GREETING = frames.PROTOCOL_HEADER[0]
_START = commands.Connection.Start.index
_CONNECTION_CLASS = 10
_FROM_BROKER = frozenset(
    class_id << 16 | method_id
    for class_id, method_ids in {
        _CONNECTION_CLASS: (10, 20, 30, 41, 50, 51, 60, 61),
        20: (11, 20, 21, 40, 41),
        40: (11, 21, 31, 51),
        50: (11, 21, 31, 41, 51),
        60: (11, 21, 30, 31, 111),
        85: (11,),
        90: (11, 21, 31),
    }.items()
    for method_id in method_ids
)
"""The methods a broker may send, off the hot path."""


class Connection:
    """Call `begin`, then feed `receive` and send `data_to_send` after each; `opened` says when channels may be used."""

    def __init__(self, credentials: Credentials) -> None:
        self._handshake = Handshake(credentials)
        self._contents = Contents()
        self._early: list[bytes] = []
        """What has come of a frame that is not whole."""
        self._early_size = self._needed = 0
        self._out: list[bytes] = []
        self._failed = False
        self.closed = False

    @property
    def opened(self) -> bool:
        return self._handshake.opened

    @property
    def frame_max(self) -> int:
        return self._handshake.frame_max

    @property
    def heartbeat(self) -> int:
        return self._handshake.heartbeat

    @property
    def server(self) -> Mapping[str, Any]:
        """The broker's own words about itself (`version`, `capabilities`)."""
        return self._handshake.server

    @property
    def expects_more(self) -> bool:
        """Whether part of a frame or of a message has come."""
        return bool(self._early) or self._contents.under_way

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
        except (struct.error, IndexError, ValueError, PAMQPException) as error:
            self._failed = True
            raise ProtocolError(f"the broker sent what is no AMQP: {type(error).__name__}: {error}") from error
        return events

    def _receive(self, data: bytes, events: list[Event]) -> None:
        if self._early:
            self._early.append(data)
            self._early_size += len(data)
            if self._early_size < self._needed:
                return
            data = b"".join(self._early)
            self._early.clear()
        at, end = 0, len(data)
        unpack, contents, largest = _HEAD.unpack_from, self._contents, self.frame_max
        while end - at >= 8 and not self.closed:
            kind, channel, size = unpack(data, at)
            if size > largest or kind not in _KINDS:
                raise _no_frame(data, at, size)
            stop = at + 7 + size
            if stop >= end:
                break
            if data[stop] != frames.END:
                raise ProtocolError("a frame does not end with its end octet")
            if kind == frames.METHOD:
                method = data[at + 7 : at + 11]
                if method == frames.DELIVER and (after := contents.whole(data, at, stop, channel, events)):
                    at = after
                    continue
                self._method(channel, method, data[at : stop + 1], events)
                largest = self.frame_max
            elif kind != frames.HEARTBEAT:
                contents.content(kind, channel, data[at + 7 : stop], events)
            at = stop + 1
        self._keep(data, at, end)

    def _keep(self, data: bytes, at: int, end: int) -> None:
        """What is left over waits until all of its frame is there: joined once, however small the pieces are."""
        left = end - at
        if not left or self.closed:
            return
        if data[at] == _GREETING:
            self._needed = 8
        elif data[at] not in _KINDS:
            # A TLS alert is shorter than any frame.
            raise _no_frame(data, at, 0)
        else:
            size: int = _U32.unpack_from(data, at + 3)[0] if left >= 7 else -1
            if size > self.frame_max:
                raise _no_frame(data, at, size)
            self._needed = 8 + size
        self._early_size = left
        self._early.append(data[at:] if at else data)

    def _method(self, channel: int, method: bytes, data: bytes, events: list[Event]) -> None:
        """One method frame, whole."""
        self._contents.check_free(channel)
        if method in frames.OF_MESSAGES and not (channel and self.opened):
            raise ProtocolError("a message on channel 0, or before the connection is open")
        if method in frames.WITH_CONTENT:
            self._contents.begin(channel, method, data[11:-1])
        elif method in frames.CONFIRMS:
            if len(data) < 21:
                raise ProtocolError("a method is longer than its frame")
            tag, bits = _TAG.unpack_from(data, 11)
            events.append(Confirmed(channel, tag, bool(bits & 1), method == frames.ACK))
        elif method == frames.GET_EMPTY:
            events.append(Got(channel, None))
        else:
            self._obey(channel, _unmarshal(method, data), events)

    # Methods off the hot path

    def _obey(self, channel: int, method: Any, events: list[Event]) -> None:
        if (method.index >> 16 == _CONNECTION_CLASS) != (not channel):
            raise ProtocolError(f"{method.name} on channel {channel}")
        match method:
            case commands.Connection.Start() | commands.Connection.Tune() | commands.Connection.OpenOk():
                for answer in self._handshake.hear(method):
                    self.send(0, answer)
                if self.opened:
                    self._contents.largest_frame = self.frame_max
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
                self.send(channel, commands.Channel.CloseOk())
                events.append(ChannelLost(channel, method.reply_code or 0, method.reply_text))
            case _:
                if not self.opened:
                    raise ProtocolError(f"{method.name} before the connection is open")
                events.append(Answered(channel, method))


def marshal(channel: int, method: Any) -> bytes:
    """One frame of any method. Raises `EncodeError`, for a name or an argument of the caller's."""
    try:
        return frame.marshal(method, channel)
    except (TypeError, ValueError, struct.error) as error:
        raise EncodeError(f"{method.name} cannot be written: {error}") from error


def _unmarshal(method: bytes, data: bytes) -> Any:
    index = int.from_bytes(method)
    if index not in _FROM_BROKER or len(method) < 4:
        raise ProtocolError(f"method {index >> 16}.{index & 0xFFFF} is unknown, or one that only a client sends")
    if index == _START:
        return read_start(data[7:-1])
    return frame.unmarshal(data)[2]


def _no_frame(data: bytes, at: int, size: int) -> ProtocolError:
    if data[at : at + 4] == b"AMQP":
        version = ".".join(map(str, data[at + 5 : at + 8]))
        return ProtocolError(f"the broker speaks AMQP {version}, not 0-9-1")
    return ProtocolError(f"no AMQP frame (size {size}): is this a RabbitMQ port, and is TLS needed on it?")
