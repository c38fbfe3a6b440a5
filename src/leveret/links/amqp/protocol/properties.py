"""The property list of a message (AMQP 0-9-1 section 4.2.6.1), by hand: it is read and written once per message."""

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from leveret.errors import EncodeError
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.headers import read_headers, write_headers

TRANSIENT, PERSISTENT = 1, 2

_CONTENT_TYPE, _CONTENT_ENCODING, _HEADERS, _DELIVERY_MODE, _PRIORITY = 0x8000, 0x4000, 0x2000, 0x1000, 0x0800
_CORRELATION_ID, _REPLY_TO, _EXPIRATION, _MESSAGE_ID, _TIMESTAMP = 0x0400, 0x0200, 0x0100, 0x0080, 0x0040
_TYPE, _USER_ID, _APP_ID, _CLUSTER_ID, _MORE = 0x0020, 0x0010, 0x0008, 0x0004, 0x0001
_KIND, _RARE = _CONTENT_TYPE | _CONTENT_ENCODING, _EXPIRATION | _MESSAGE_ID | _MORE


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
    flags, head = _head(properties.content_type, properties.content_encoding)
    parts = [b"", head]
    if properties.headers:
        flags |= _HEADERS
        parts.append(write_headers(properties.headers))
    priority = properties.priority
    if priority is not None:
        flags |= _PRIORITY
    parts.append(_ways(properties.delivery_mode, priority))
    if properties.correlation_id:
        flags |= _CORRELATION_ID
        parts.append(short_string(properties.correlation_id))
    if properties.reply_to:
        flags |= _REPLY_TO
        parts.append(short_string(properties.reply_to))
    if properties.expiration:
        flags |= _EXPIRATION
        parts.append(short_string(properties.expiration))
    if properties.message_id:
        flags |= _MESSAGE_ID
        parts.append(short_string(properties.message_id))
    parts[0] = flags.to_bytes(2)
    return b"".join(parts)


@lru_cache(maxsize=256)
def _ways(mode: int, priority: int | None) -> bytes:
    return b"%c" % mode if priority is None else b"%c%c" % (mode, min(max(priority, 0), 255))


@lru_cache(maxsize=256)
def _head(content_type: str, content_encoding: str) -> tuple[int, bytes]:
    flags, data = _DELIVERY_MODE, b""
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
    content_type = content_encoding = correlation_id = reply_to = expiration = message_id = ""
    headers: Mapping[str, Any] = {}
    mode, priority, at = TRANSIENT, None, 2
    try:
        flags = data[0] << 8 | data[1]
        if flags & _KIND == _KIND:
            # Both, and few kinds of both: read once.
            middle = 3 + data[2]
            at = middle + 1 + data[middle]
            content_type, content_encoding = _kind(data[2:at])
        elif flags & _KIND:
            text, at = _short(data, at)
            content_type, content_encoding = (text, "") if flags & _CONTENT_TYPE else ("", text)
        if flags & _HEADERS:
            headers, at = read_headers(data, at)
        if flags & _DELIVERY_MODE:
            mode, at = data[at], at + 1
        if flags & _PRIORITY:
            priority, at = data[at], at + 1
        if flags & _CORRELATION_ID:
            start, at = at + 1, at + 1 + data[at]
            correlation_id = data[start:at].decode()
        if flags & _REPLY_TO:
            start, at = at + 1, at + 1 + data[at]
            reply_to = data[start:at].decode()
        if flags & _RARE:
            if flags & _MORE:
                raise ProtocolError("a message has more property flags than AMQP 0-9-1 knows")
            if flags & _EXPIRATION:
                expiration, at = _short(data, at)
            if flags & _MESSAGE_ID:
                message_id, at = _short(data, at)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ProtocolError(f"a message's properties cannot be read: {error}") from error
    if at > len(data):
        raise ProtocolError("a message's properties are longer than their frame")
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


@lru_cache(maxsize=256)
def _kind(data: bytes) -> tuple[str, str]:
    content_type, at = _short(data, 0)
    content_encoding, _ = _short(data, at)
    return content_type, content_encoding


def _short(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    if end > len(data):
        raise ProtocolError("a short string is longer than its frame")
    return str(data[at + 1 : end], "utf-8"), end
