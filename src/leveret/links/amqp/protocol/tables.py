"""Field tables (AMQP 0-9-1 section 4.2.5.5, with RabbitMQ's type letters): headers in, headers out.

By hand, and not by pamqp: headers are most of what a delivery costs. Two strings take 0.9 us here, 6 us there.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

from leveret.errors import EncodeError
from leveret.links.amqp.protocol.errors import ProtocolError

MOST_LEVELS = 64
"""Of lists and tables inside one another; a peer's bytes must not exhaust the stack."""

_U32 = struct.Struct(">I")
_I64 = struct.Struct(">q")
_F64 = struct.Struct(">d")
_DECIMAL = struct.Struct(">Bi")
_LONG_STRING = struct.Struct(">cI")
_unpack_u32, _pack_long_string = _U32.unpack_from, _LONG_STRING.pack
_MOST_CACHED = 40
"""Characters of a name: what is longer is nobody's habit."""
_EPOCH, _SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)

# Writing


def write_table(table: Mapping[str, Any], path: str = "headers", level: int = 0) -> bytes:
    """Raises `EncodeError` naming the header that AMQP has no type for."""
    if level > MOST_LEVELS:
        raise EncodeError(f"{path}: more than {MOST_LEVELS} levels", path)
    parts: list[bytes] = []
    for key, value in table.items():
        parts.append(_known_name(key) if len(key) < _MOST_CACHED else _name(key, path))
        if type(value) is str:
            try:
                data = value.encode()
            except UnicodeEncodeError:
                data = value.encode("utf-8", "surrogatepass")
            parts += (_pack_long_string(b"S", len(data)), data)
        else:
            parts.append(_write_value(value, f"{path}.{key}", level))
    payload = b"".join(parts)
    return _U32.pack(len(payload)) + payload


def _name(key: str, path: str = "headers") -> bytes:
    name = key.encode("utf-8", "surrogatepass")
    if len(name) > 255:
        raise EncodeError(f"{path}.{key[:40]}...: a header's name has at most 255 bytes", f"{path}.{key}")
    return b"%c%b" % (len(name), name)


_known_name = lru_cache(maxsize=1024)(_name)
"""The same few for nearly every message."""


def _text(value: str) -> bytes:
    # Lone surrogates are no UTF-8, but kombu's own transport (py-amqp) carries them, in names too.
    data = value.encode("utf-8", "surrogatepass")
    return _pack_long_string(b"S", len(data)) + data


def _write_value(value: Any, path: str, level: int) -> bytes:
    match value:
        case bool():
            return b"t\x01" if value else b"t\x00"
        case None:
            return b"V"
        case str():
            return _text(value)
        case int():
            if -(1 << 63) <= value < 1 << 63:
                return b"l" + _I64.pack(value)
            raise EncodeError(f"{path}: AMQP has no integers beyond 64 bits: {value}", path)
        case float():
            return b"d" + _F64.pack(value)
        case bytes() | bytearray() | memoryview():
            data = bytes(value)
            return _LONG_STRING.pack(b"x", len(data)) + data
        case datetime():
            # Without a zone it is UTC, as for pamqp and py-amqp.
            moment = value.replace(tzinfo=UTC) if value.utcoffset() is None else value
            return b"T" + _I64.pack((moment - _EPOCH) // _SECOND)
        case Decimal():
            return b"D" + _decimal(value, path)
        case Mapping():
            return b"F" + write_table({str(name): part for name, part in value.items()}, path, level + 1)
        case list() | tuple():
            return b"A" + _array(value, path, level + 1)
    raise EncodeError(f"{path}: AMQP has no type for {type(value).__name__}", path)


def _array(values: Sequence[Any], path: str, level: int) -> bytes:
    if level > MOST_LEVELS:
        raise EncodeError(f"{path}: more than {MOST_LEVELS} levels", path)
    items = b"".join([_write_value(item, f"{path}[{place}]", level) for place, item in enumerate(values)])
    return _U32.pack(len(items)) + items


def _decimal(value: Decimal, path: str) -> bytes:
    sign, digits, exponent = value.as_tuple()
    if isinstance(exponent, int) and len(digits) + max(exponent, 0) <= 10:
        unscaled = int("".join(map(str, digits))) * (-1 if sign else 1) * 10 ** max(exponent, 0)
        if -exponent <= 255 and -(1 << 31) <= unscaled < 1 << 31:
            return _DECIMAL.pack(max(-exponent, 0), unscaled)
    raise EncodeError(f"{path}: AMQP has no decimals of more than 32 bits: {value}", path)


# Reading


def read_table(data: bytes, start: int, level: int = 0) -> tuple[dict[str, Any], int]:
    """The table at `start` and where it ends. Raises `ProtocolError`."""
    if level > MOST_LEVELS:
        raise ProtocolError(f"a table has more than {MOST_LEVELS} levels")
    try:
        (size,) = _unpack_u32(data, start)
        at = start + 4
        end = at + size
        if end > len(data):
            raise ProtocolError("a table is longer than its frame")
        table: dict[str, Any] = {}
        while at < end:
            name_at = at + 1
            at = name_at + data[at]
            name = _read_name(data[name_at:at])
            if data[at] == 83:  # "S", nearly every header of a task
                (length,) = _unpack_u32(data, at + 1)
                text_at = at + 5
                at = text_at + length
                text = data[text_at:at]
                try:
                    table[name] = text.decode()
                except UnicodeDecodeError:
                    table[name] = _read_text(text)
            else:
                table[name], at = _read_value(data, at, level)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ProtocolError(f"a table cannot be read: {error}") from error
    if at != end:
        raise ProtocolError("a table's last value runs over its end")
    return table, end


@lru_cache(maxsize=1024)
def _read_name(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _read_text(data: bytes) -> Any:
    """RabbitMQ's long strings are any bytes; those that are no text stay bytes."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data


def _read_array(data: bytes, at: int, level: int) -> tuple[list[Any], int]:
    if level > MOST_LEVELS:
        raise ProtocolError(f"an array has more than {MOST_LEVELS} levels")
    (size,) = _unpack_u32(data, at)
    at += 4
    end = at + size
    if end > len(data):
        raise ProtocolError("an array is longer than its frame")
    items = []
    while at < end:
        item, at = _read_value(data, at, level)
        items.append(item)
    if at != end:
        raise ProtocolError("an array's last value runs over its end")
    return items, at


def _read_value(data: bytes, at: int, level: int) -> tuple[Any, int]:
    kind = data[at]
    at += 1
    fixed = _FIXED.get(kind)
    if fixed is not None:
        layout, convert = fixed
        (value,) = layout.unpack_from(data, at)
        return convert(value), at + layout.size
    match chr(kind):
        case "V":
            return None, at
        case "S" | "x":
            (length,) = _unpack_u32(data, at)
            end = at + 4 + length
            if end > len(data):
                raise ProtocolError("a string is longer than its frame")
            raw = data[at + 4 : end]
            return (_read_text(raw) if kind == 83 else raw), end
        case "F":
            return read_table(data, at, level + 1)
        case "A":
            return _read_array(data, at, level + 1)
        case "D":
            scale, unscaled = _DECIMAL.unpack_from(data, at)
            # Not `scaleb`: that would round as the reading thread's decimal context says.
            return Decimal((unscaled < 0, tuple(map(int, str(abs(unscaled)))), -scale)), at + 5
    raise ProtocolError(f"a table holds a value of unknown type {chr(kind)!r}")


def _moment(seconds: int) -> Any:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return seconds


def _same(value: Any) -> Any:
    return value


_FIXED: Mapping[int, tuple[struct.Struct, Callable[[Any], Any]]] = {
    ord(letter): (struct.Struct(f">{code}"), convert)
    for letter, code, convert in (
        ("t", "?", _same),
        ("b", "b", _same),
        ("B", "B", _same),
        ("s", "h", _same),
        ("U", "h", _same),
        ("u", "H", _same),
        ("I", "i", _same),
        ("i", "I", _same),
        ("l", "q", _same),
        ("L", "q", _same),
        ("f", "f", _same),
        ("d", "d", _same),
        ("T", "q", _moment),  # unsigned by the book; but then what is before 1970 would come back as no date at all
    )
}
