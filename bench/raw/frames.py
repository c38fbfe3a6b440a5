"""Messages as they lie in AMQP's frames: written from our codec's, or read off what a client sent."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leveret.model.delivery import Encoded

METHOD, HEADER, BODY = 1, 2, 3
PUBLISH, DECLARE = (60, 40), (50, 10)
CONTENT_TYPE, CONTENT_ENCODING, HEADERS, DELIVERY_MODE, CORRELATION_ID = 1 << 15, 1 << 14, 1 << 13, 1 << 12, 1 << 10
DURABLE = 2


@dataclass(frozen=True, slots=True)
class Content:
    """The payload of a content header frame (AMQP 0-9-1, 2.3.5.2), and the body behind it."""

    header: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client sent: its messages, and how it sends them."""

    contents: tuple[Content, ...]
    mandatory: bool
    queue_type: str


def write(contents: Sequence[Content], path: Path) -> Path:
    """The file that `amqpload` reads."""
    parts = (part for content in contents for part in (content.header, content.body))
    path.write_bytes(b"".join(struct.pack(">I", len(part)) + part for part in parts))
    return path


def content(encoded: Encoded) -> Content:
    """Durable, with the properties that Celery gives a task."""
    flags = CONTENT_TYPE | CONTENT_ENCODING | HEADERS | DELIVERY_MODE | CORRELATION_ID
    properties = (
        _short_text(encoded.content_type),
        _short_text(encoded.content_encoding),
        _table(encoded.headers),
        bytes([DURABLE]),
        _short_text(str(encoded.headers["id"])),
    )
    return Content(struct.pack(">HHQH", 60, 0, len(encoded.body), flags) + b"".join(properties), encoded.body)


def sent(stream: bytes, task: str) -> Sent:
    """Reads what one connection carried to the broker; of the messages, those that name the task."""
    contents: list[Content] = []
    mandatory, header, body, queue_type = False, b"", b"", "classic"
    for kind, payload in _frames(stream):
        if kind == METHOD and payload[:4] == struct.pack(">HH", *PUBLISH):
            mandatory = bool(payload[-1] & 1)
        elif kind == METHOD and payload[:4] == struct.pack(">HH", *DECLARE):
            queue_type = "quorum" if b"\x0cx-queue-typeS\0\0\0\x06quorum" in payload else queue_type
        elif kind == HEADER:
            header, body = payload, b""
        elif kind == BODY:
            body += payload
            complete = len(body) == struct.unpack_from(">Q", header, 4)[0]
            contents += [Content(header, body)] if complete and task.encode() in header + body else []
    return Sent(tuple(contents), mandatory, queue_type)


def _frames(stream: bytes) -> Iterator[tuple[int, bytes]]:
    at = len(b"AMQP\x00\x00\x09\x01")
    while at + 8 <= len(stream):
        kind, _, size = struct.unpack_from(">BHI", stream, at)
        if at + size + 8 > len(stream):
            return
        yield kind, stream[at + 7 : at + 7 + size]
        at += size + 8


def _short_text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _table(items: Mapping[str, Any]) -> bytes:
    fields = b"".join(_short_text(name) + _value(value) for name, value in items.items())
    return struct.pack(">I", len(fields)) + fields


def _value(value: Any) -> bytes:
    match value:
        case None:
            return b"V"
        case bool():
            return b"t" + bytes([value])
        case int():
            return b"l" + struct.pack(">q", value)
        case float():
            return b"d" + struct.pack(">d", value)
        case str():
            return b"S" + struct.pack(">I", len(value.encode())) + value.encode()
        case Mapping():
            return b"F" + _table(value)
        case _:
            items = b"".join(_value(item) for item in value)
            return b"A" + struct.pack(">I", len(items)) + items
