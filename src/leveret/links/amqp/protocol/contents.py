"""Messages that come in frames: method, header, body (AMQP 0-9-1 section 4.2.6), one at a time on each channel."""

import struct
from typing import Any

from leveret.links.amqp.protocol import frames
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.events import Delivered, Event, Got, Returned

LARGEST_BODY = 512 * 1024 * 1024
"""RabbitMQ's own hard limit; what claims to be larger is no message."""

_BASIC = 60
_MOST_NAMES = 1000
_TAG = struct.Struct(">QB")
_HEAD = struct.Struct(">BHI")
_CONTENT = struct.Struct(">HHQ")
_HEADER_FRAME = struct.Struct(">BHIHHQ")


class _Partial:
    """A message whose content frames have not all come."""

    __slots__ = ("body", "fields", "method", "missing", "properties", "size")

    def __init__(self, method: bytes, fields: tuple[Any, ...]) -> None:
        self.method, self.fields = method, fields
        self.properties: bytes | None = None
        self.size = self.missing = 0
        self.body: list[bytes] = []


class Contents:
    """What has begun on every channel, and what is read in one go."""

    def __init__(self) -> None:
        self.largest_frame = 0
        """Payload of one frame; 0 before the connection is open: no message may come then."""
        self._partial: dict[int, _Partial] = {}
        self._announced = 0
        """Sizes of all bodies that are not complete: together they are no larger than one may be."""
        self._consumers: dict[bytes, str] = {}
        self._places: dict[bytes, tuple[str, str]] = {}
        """Exchange and routing key as they stand in a frame: the same for nearly every message of a queue."""

    def whole(self, data: bytes, at: int, stop: int, channel: int, events: list[Event]) -> int:
        """Read a delivery whose method frame is `data[at : stop + 1]` and whose other two frames are here too, as they
        nearly always are. Answers where it ends; 0 where anything is not so: then it is read frame by frame, with the
        same events, and with words for what is wrong."""
        try:
            tag_at = at + 12 + data[at + 11]
            tag, redelivered = _TAG.unpack_from(data, tag_at)
            head, head_channel, head_size, of_class, _, size = _HEADER_FRAME.unpack_from(data, stop + 1)
            head_stop = stop + 8 + head_size
            body, body_channel, body_size = _HEAD.unpack_from(data, head_stop + 1)
            body_stop: int = head_stop + 8 + body_size
            if (
                head != frames.HEADER
                or body != frames.BODY
                or not (channel == head_channel == body_channel)
                or not (data[head_stop] == data[body_stop] == frames.END)
                or of_class != _BASIC
                or body_size != size
                or not (size and channel)
                or head_size < 14
                or head_size > self.largest_frame
                or size > self.largest_frame
                or channel in self._partial
            ):
                return 0
            consumer_name, place_name = data[at + 11 : tag_at], data[tag_at + 9 : stop]
            consumer = self._consumers.get(consumer_name) or self._consumer(consumer_name)
            exchange, key = self._places.get(place_name) or self._place(place_name)
        except (struct.error, IndexError, ValueError):
            return 0
        properties, content = data[stop + 20 : head_stop], data[head_stop + 8 : body_stop]
        events.append(Delivered(channel, consumer, tag, bool(redelivered & 1), exchange, key, properties, content))
        return body_stop + 1

    def _consumer(self, name: bytes) -> str:
        if len(self._consumers) >= _MOST_NAMES:
            self._consumers.clear()
        self._consumers[name] = consumer = str(name[1:], "utf-8")
        return consumer

    def _place(self, name: bytes) -> tuple[str, str]:
        if len(self._places) >= _MOST_NAMES:
            self._places.clear()
        exchange, at = _short(name, 0)
        key, at = _short(name, at)
        if at != len(name):
            raise ValueError("not only exchange and key")
        self._places[name] = place = exchange, key
        return place

    # Frame by frame

    @property
    def under_way(self) -> bool:
        """Whether a message has begun and is not whole."""
        return bool(self._partial)

    def check_free(self, channel: int) -> None:
        """Raises `ProtocolError` where a method would stand between the frames of a message."""
        if channel in self._partial:
            raise ProtocolError("a method stands between the frames of a message")

    def begin(self, channel: int, method: bytes, data: bytes) -> None:
        """The method of a message, and its arguments."""
        fields: tuple[Any, ...]
        if method == frames.DELIVER:
            consumer, at = _short(data, 0)
            tag, redelivered = _TAG.unpack_from(data, at)
            exchange, at = _short(data, at + 9)
            key, at = _short(data, at)
            fields = consumer, tag, bool(redelivered & 1), exchange, key
        elif method == frames.GET_OK:
            tag, redelivered = _TAG.unpack_from(data, 0)
            exchange, at = _short(data, 9)
            key, at = _short(data, at)
            at += 4  # how many are left
            fields = "", tag, bool(redelivered & 1), exchange, key
        else:
            text, at = _short(data, 2)
            exchange, at = _short(data, at)
            key, at = _short(data, at)
            fields = data[0] << 8 | data[1], text, exchange, key
        if at > len(data):
            raise ProtocolError("a method is longer than its frame")
        self._partial[channel] = _Partial(method, fields)

    def content(self, kind: int, channel: int, data: bytes, events: list[Event]) -> None:
        """A header or body frame's payload."""
        partial = self._partial.get(channel)
        if partial is None:
            raise ProtocolError("a content frame belongs to no message")
        if kind == frames.HEADER:
            self._header(partial, data)
        else:
            if partial.properties is None or len(data) > partial.missing:
                raise ProtocolError("a content body is out of place or longer than announced")
            if data:
                partial.body.append(data)
                partial.missing -= len(data)
        if not partial.missing:
            del self._partial[channel]
            self._announced -= partial.size
            events.append(_event(channel, partial))

    def _header(self, partial: _Partial, data: bytes) -> None:
        if len(data) < 14:
            raise ProtocolError("a content header is out of place: shorter than it can be")
        of_class, _, size = _CONTENT.unpack_from(data)
        if partial.properties is not None or of_class != _BASIC:
            raise ProtocolError("a content header is out of place")
        self._announced += size
        if self._announced > LARGEST_BODY:
            raise ProtocolError(f"a content header names an impossible size: {size}")
        partial.properties = data[12:]
        partial.size = partial.missing = size


def _event(channel: int, partial: _Partial) -> Event:
    body = partial.body[0] if len(partial.body) == 1 else b"".join(partial.body)
    if partial.method == frames.RETURN:
        return Returned(*(channel, *partial.fields, partial.properties, body))
    message = Delivered(*(channel, *partial.fields, partial.properties, body))
    return message if partial.method == frames.DELIVER else Got(channel, message)


def _short(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return str(data[at + 1 : end], "utf-8"), end
