"""The property list of a message (AMQP 0-9-1 section 4.2.6.1), by hand: it is read and written once per message."""

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from leveret.errors import EncodeError
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.tables import read_table, write_table

TRANSIENT, PERSISTENT = 1, 2

_CONTENT_TYPE, _CONTENT_ENCODING, _HEADERS, _DELIVERY_MODE, _PRIORITY = 0x8000, 0x4000, 0x2000, 0x1000, 0x0800
_CORRELATION_ID, _REPLY_TO, _EXPIRATION, _MESSAGE_ID, _TIMESTAMP = 0x0400, 0x0200, 0x0100, 0x0080, 0x0040
_TYPE, _USER_ID, _APP_ID, _CLUSTER_ID, _MORE = 0x0020, 0x0010, 0x0008, 0x0004, 0x0001


class Properties(Struct, frozen=True, kw_only=True, gc=False):
    """Those a task message has; the others are read over."""

    content_type: str = ""
    content_encoding: str = ""
    headers: Mapping[str, Any] = {}
    delivery_mode: int = PERSISTENT
    priority: int | None = None
    correlation_id: str = ""
    reply_to: str = ""
    expiration: str = ""
    message_id: str = ""


def write_properties(properties: Properties) -> bytes:
    """Flags and values. Raises `EncodeError`."""
    kind, encoding, mode = properties.content_type, properties.content_encoding, properties.delivery_mode
    flags, head = _head(kind, encoding)
    flags |= _DELIVERY_MODE
    parts = [b"", head]
    if properties.headers:
        flags |= _HEADERS
        parts.append(write_table(properties.headers))
    if properties.priority is None:
        parts.append(b"%c" % mode)
    else:
        flags |= _PRIORITY
        parts.append(b"%c%c" % (mode, min(max(properties.priority, 0), 255)))
    for flag, text in (
        (_CORRELATION_ID, properties.correlation_id),
        (_REPLY_TO, properties.reply_to),
        (_EXPIRATION, properties.expiration),
        (_MESSAGE_ID, properties.message_id),
    ):
        if text:
            flags |= flag
            parts.append(short_string(text))
    parts[0] = flags.to_bytes(2)
    return b"".join(parts)


@lru_cache(maxsize=256)
def _head(content_type: str, content_encoding: str) -> tuple[int, bytes]:
    flags, data = 0, b""
    if content_type:
        flags, data = flags | _CONTENT_TYPE, data + short_string(content_type)
    if content_encoding:
        flags, data = flags | _CONTENT_ENCODING, data + short_string(content_encoding)
    return flags, data


def short_string(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"{text[:40]!r} is no text: {error.reason}") from error
    if len(data) > 255:
        raise EncodeError(f"{text[:40]!r}... has {len(data)} bytes, AMQP allows 255 here")
    return b"%c%b" % (len(data), data)


def read_properties(data: bytes) -> Properties:
    """Raises `ProtocolError`."""
    try:
        return _read(data)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ProtocolError(f"a message's properties cannot be read: {error}") from error


def _read(data: bytes) -> Properties:
    flags = data[0] << 8 | data[1]
    at = 2
    if flags & _MORE:
        raise ProtocolError("a message has more property flags than AMQP 0-9-1 knows")
    content_type = content_encoding = correlation_id = reply_to = expiration = message_id = ""
    headers: Mapping[str, Any] = {}
    mode, priority = TRANSIENT, None
    if flags & _CONTENT_TYPE:
        content_type, at = _short(data, at)
    if flags & _CONTENT_ENCODING:
        content_encoding, at = _short(data, at)
    if flags & _HEADERS:
        headers, at = read_table(data, at)
    if flags & _DELIVERY_MODE:
        mode, at = data[at], at + 1
    if flags & _PRIORITY:
        priority, at = data[at], at + 1
    if flags & _CORRELATION_ID:
        correlation_id, at = _short(data, at)
    if flags & _REPLY_TO:
        reply_to, at = _short(data, at)
    if flags & _EXPIRATION:
        expiration, at = _short(data, at)
    if flags & _MESSAGE_ID:
        message_id, at = _short(data, at)
    return Properties(
        content_type=content_type,
        content_encoding=content_encoding,
        headers=headers,
        delivery_mode=mode,
        priority=priority,
        correlation_id=correlation_id,
        reply_to=reply_to,
        expiration=expiration,
        message_id=message_id,
    )


def _short(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    if end > len(data):
        raise ProtocolError("a short string is longer than its frame")
    return str(data[at + 1 : end], "utf-8"), end
