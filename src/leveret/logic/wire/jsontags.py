"""Values that JSON has no words for, as tagged objects, and the look that says whether there are any.

Two kinds of tag. Celery's own, `{"__type__": name, "__value__": value}` (`kombu/utils/json.py`), for what Celery can
rebuild. Ours, `{"__leveret__": name, "__value__": value}`, for the rest: kombu refuses a whole body over a `__type__`
it does not know, so an unknown kind must not wear that key; a Celery worker sees ours as a plain dict.

A user's own dict that looks like a tag is escaped as `{"__leveret__": "dict", "__value__": [[key, value], ...]}`.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum, Flag
from math import isfinite
from typing import Any
from uuid import UUID

from leveret.errors import EncodeError
from leveret.logic.wire.classes import loaded_class, name_of

CELERY_TAG = "__type__"
TAG = "__leveret__"
VALUE = "__value__"
MAX_DEPTH = 64
"""How deep what we send and accept may nest."""
_CELERY_SHAPE = frozenset((CELERY_TAG, VALUE))

ATOMS = frozenset((str, int, bool, type(None)))
"""Exact types msgspec writes as Python's json does (it writes NaN as null, so floats are looked at one by one)."""


class Unfit(Exception):
    """Inside this module and `serializers` only: a value no tag can carry."""

    def __init__(self, value: object, why: str = "") -> None:
        super().__init__(why)
        self.value, self.why = value, why


def is_plain(value: Any, room: int = MAX_DEPTH) -> bool:
    """Tell whether msgspec writes the value exactly as Python's json would, and nothing in it needs a tag.

    Exact types only: a subclass (an IntEnum, an OrderedDict) takes the slow way, which knows them all; so does what
    nests deeper than `room`.
    """
    kind = type(value)
    if kind is dict:
        if not value:
            return room > 0
        # Any dict that has one of the keys takes the slow way, which decides whether it needs the escape.
        if not room or CELERY_TAG in value or TAG in value:
            return False
        for key, item in value.items():
            if type(key) is not str or (type(item) not in ATOMS and not is_plain(item, room - 1)):
                return False
        return True
    if kind is list or kind is tuple:
        if not room:
            return False
        for item in value:  # noqa: SIM110 - the generator of all() costs twice as much
            if type(item) not in ATOMS and not is_plain(item, room - 1):
                return False
        return True
    if kind is float:
        return isfinite(value)
    return kind in ATOMS


# Writing


def dress(value: Any, native: frozenset[type] = frozenset(), *, wide: bool = True) -> Any:
    """Copy the value with tags in place of what has no plain form. Raises `Unfit`.

    `native`: exact types the format carries by itself. `wide=False`: integers beyond 64 bits need a tag too.
    """
    kind = type(value)
    if kind in native:
        return value
    if kind is dict:
        return _dress_dict(value, native, wide)
    if kind is list or kind is tuple:
        return [dress(item, native, wide=wide) for item in value]
    if kind is int:
        return value if wide or -(2**63) <= value < 2**64 else _tag("int", str(value))
    if kind in ATOMS or kind is float:
        return value
    known = _WRITERS.get(kind)
    if known is not None:
        return known(value, lambda item: dress(item, native, wide=wide))
    return _dress_other(value, lambda item: dress(item, native, wide=wide))


def _dress_dict(value: dict[Any, Any], native: frozenset[type], wide: bool) -> dict[str, Any]:
    dressed = {_key(key): dress(item, native, wide=wide) for key, item in value.items()}
    if TAG in dressed or dressed.keys() == _CELERY_SHAPE:
        return _tag("dict", [[key, item] for key, item in dressed.items()])
    return dressed


def _key(key: Any) -> str:
    """Write a key as Python's json does."""
    if isinstance(key, str):
        return str.__str__(key)
    if key is None or key is True or key is False:
        return {None: "null", True: "true", False: "false"}[key]
    if isinstance(key, float):
        return "NaN" if key != key else float.__repr__(key).replace("inf", "Infinity")
    if isinstance(key, int):
        return int.__repr__(key)
    raise Unfit(key, "a key must be a str, int, float, bool or None")


_Dress = Callable[[Any], Any]


def _tag(name: str, value: Any) -> dict[str, Any]:
    return {TAG: name, VALUE: value}


def _celery(name: str, value: Any) -> dict[str, Any]:
    return {CELERY_TAG: name, VALUE: value}


def _write_bytes(value: Any, _: _Dress) -> dict[str, Any]:
    data = bytes(value)
    try:
        return _celery("bytes", data.decode("utf-8"))
    except UnicodeDecodeError:
        return _celery("base64", b64encode(data).decode("ascii"))


def _write_dataclass(value: Any, inner: _Dress) -> dict[str, Any]:
    contents = {field.name: inner(getattr(value, field.name)) for field in fields(value)}
    return _tag("dataclass", [*name_of(type(value)), contents])


def _write_enum(value: Enum, inner: _Dress) -> dict[str, Any]:
    return _tag("enum", [*name_of(type(value)), inner(value.value)])


_WRITERS: Mapping[type, Callable[[Any, _Dress], Any]] = {
    # datetime stands before date: the order is the one `isinstance` needs for subclasses.
    datetime: lambda value, _: _celery("datetime", value.isoformat()),
    date: lambda value, _: _celery("date", value.isoformat()),
    time: lambda value, _: _celery("time", value.isoformat()),
    Decimal: lambda value, _: _celery("decimal", str(value)),
    UUID: lambda value, _: _celery("uuid", {"hex": value.hex}),
    bytes: _write_bytes,
    bytearray: _write_bytes,
    memoryview: _write_bytes,
    timedelta: lambda value, _: _tag("timedelta", [value.days, value.seconds, value.microseconds]),
    set: lambda value, inner: _tag("set", [inner(item) for item in value]),
    frozenset: lambda value, inner: _tag("frozenset", [inner(item) for item in value]),
}


def _dress_other(value: Any, inner: _Dress) -> Any:
    """Subclasses, in an order that gives each the most telling form."""
    if isinstance(value, Enum):
        return _write_enum(value, inner)
    if is_dataclass(value) and not isinstance(value, type):
        return _write_dataclass(value, inner)
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value, inner)
    match value:
        case str():
            return str.__str__(value)
        case int():
            return int.__int__(value)
        case float():
            return float.__float__(value)
        case dict():
            return inner(dict(value))
        case list() | tuple():
            return [inner(item) for item in value]
    as_json = getattr(type(value), "__json__", None)
    if as_json is None:
        raise Unfit(value)
    return inner(as_json(value))


def find_unfit(value: Any, fits: Callable[[Any], bool], path: str = "") -> tuple[str, Any]:
    """Name the innermost part of `value` that cannot be written: (`[1].user.name`, the part)."""
    parts: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        bad_key = next((key for key in value if not fits({key: None})), None)
        if bad_key is not None:
            return f"{path}[{bad_key!r:.100}]", bad_key
        parts = [(step(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(f"[{index}]", item) for index, item in enumerate(value)]
    elif isinstance(value, set | frozenset):
        parts = [("{}", item) for item in value]
    elif is_dataclass(value) and not isinstance(value, type):
        parts = [(f".{field.name}", getattr(value, field.name, None)) for field in fields(value)]
    for name, part in parts:
        if not fits(part):
            return find_unfit(part, fits, path + name)
    return path, value


def step(key: Any) -> str:
    """One step of a path: `.name` for a word, `['two words']` for anything else."""
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r:.100}]"


def unfit_error(value: Any, fits: Callable[[Any], bool], why: str = "") -> EncodeError:
    """Build the error for a value that could not be written: its path, its type and why."""
    try:
        path, culprit = find_unfit(value, fits)
    except RecursionError:
        return EncodeError("the value refers to itself or is nested too deep")
    kind = type(culprit)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return EncodeError(f"cannot be serialised: {name}" + (f" ({why})" if why else ""), path)


# Reading


def has_tags(data: bytes) -> bool:
    """Tell whether the encoded data may hold tags (every writer we know writes this key unescaped)."""
    return b'__value__"' in data


def undress_one(item: dict[str, Any]) -> Any:
    """Rebuild one tagged object whose contents are rebuilt already; anything else stays the plain dict it is."""
    if len(item) != 2 or VALUE not in item:
        return item
    name = item.get(TAG)
    readers = _OUR_READERS
    if name is None:
        name, readers = item.get(CELERY_TAG), _CELERY_READERS
    read = readers.get(name) if isinstance(name, str) else None
    if read is None:
        return item
    try:
        return read(item[VALUE])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, InvalidOperation, Base64Error):
        return item


def undress(value: Any) -> Any:
    """Rebuild every tagged object in a decoded tree, innermost first."""
    if type(value) is dict:
        return undress_one({key: undress(item) for key, item in value.items()})
    if type(value) is list:
        return [undress(item) for item in value]
    return value


def _read_uuid(value: Any) -> UUID:
    return UUID(hex=value["hex"])


def _read_dict(value: Any) -> dict[Any, Any]:
    return {key: item for key, item in value}  # noqa: C416 - each must be a pair, dict() takes two-letter words too


def _hashable(item: Any) -> Any:
    """A tuple in a set arrives as a list."""
    return tuple(_hashable(inner) for inner in item) if isinstance(item, list) else item


def _expect_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _is_named(kind: type[Any], module: Any, name: Any) -> bool:
    """A class found under a name that is not its own is not the one that was sent."""
    return name_of(kind) == (module, name) or (kind.__module__, kind.__qualname__) == (module, name)


def _read_dataclass(value: Any) -> Any:
    """Fill the fields without calling anything of the class, so that data cannot make code run.

    An unknown class, or other fields than the class declares, leaves the fields as a plain dict.
    """
    module, name, contents = value
    if not isinstance(contents, dict):
        raise TypeError(contents)
    kind = loaded_class(module, name)
    try:
        if kind is None or not is_dataclass(kind) or not _is_named(kind, module, name):
            return contents
        if contents.keys() != {field.name for field in fields(kind)}:
            return contents
        made: Any = object.__new__(kind)
        for key, item in contents.items():
            object.__setattr__(made, key, item)
    except (KeyError, TypeError, AttributeError, ValueError):
        return contents
    return made


def _read_enum(value: Any) -> Any:
    """The member with that value; the bare value where this process has no such enum or member."""
    module, name, inner = value
    kind = loaded_class(module, name)
    try:
        if kind is None or not issubclass(kind, Enum) or not _is_named(kind, module, name):
            return inner
        # A tuple value arrives as a list; `_missing_` is code of the class, which data must not reach.
        wanted = _hashable(inner)
        members = kind._value2member_map_
        if wanted in members:
            return members[wanted]
        if issubclass(kind, Flag) and isinstance(wanted, int) and _is_stdlib_flag(kind):
            return kind(wanted)
        return next((member for member in kind if member.value == inner), inner)
    except (KeyError, TypeError, AttributeError, ValueError):
        return inner


def _is_stdlib_flag(kind: type[Flag]) -> bool:
    return getattr(kind._missing_, "__func__", None) is Flag._missing_.__func__  # type: ignore[attr-defined] # a classmethod


_CELERY_READERS: Mapping[str, Callable[[Any], Any]] = {
    "bytes": lambda value: value.encode("utf-8"),
    "base64": lambda value: b64decode(value.encode("utf-8")),
    "datetime": datetime.fromisoformat,
    "date": lambda value: datetime.fromisoformat(value).date(),
    "time": time.fromisoformat,
    "decimal": Decimal,
    "uuid": _read_uuid,
}

_OUR_READERS: Mapping[str, Callable[[Any], Any]] = {
    "timedelta": lambda value: timedelta(*_expect_list(value)),
    "set": lambda value: {_hashable(item) for item in _expect_list(value)},
    "frozenset": lambda value: frozenset(_hashable(item) for item in _expect_list(value)),
    "dataclass": _read_dataclass,
    "enum": _read_enum,
    "dict": _read_dict,
    "int": int,
}
