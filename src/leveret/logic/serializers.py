"""json, msgpack, yaml and pickle under Celery's names and content types.

json and msgpack write plain values by msgspec and take the standard library's way (json) or tags (`jsontags`) for
everything msgspec would write otherwise than Celery reads it.
"""

import json
import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from itertools import accumulate
from typing import Any

import msgspec

from leveret.errors import DecodeError, EncodeError, ImproperlyConfigured, MissingExtra
from leveret.logic.wire.jsontags import (
    ATOMS,
    MAX_DEPTH,
    Unfit,
    dress,
    has_tags,
    is_plain,
    undress,
    undress_one,
    unfit_error,
)

MAX_ITEMS = 1_000_000
"""For what can be larger than its bytes: YAML aliases. JSON and msgpack are bounded by their own size."""


@dataclass(frozen=True, slots=True)
class Serializer:
    """One way to write a value. `dumps` raises `EncodeError` with the path, `loads` `DecodeError`, nothing else."""

    name: str
    content_type: str
    content_encoding: str
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


class Serializers:
    """The serializers of one app, found by name or by content type."""

    def __init__(self, serializers: Iterable[Serializer]) -> None:
        known = tuple(serializers)
        self._by_name = {serializer.name: serializer for serializer in known}
        self._by_type = {serializer.content_type: serializer for serializer in known}

    def named(self, name: str) -> Serializer:
        """Find by name or content type (as `task_serializer` and `accept_content` give it)."""
        found = self._by_name.get(name) or self._by_type.get(name)
        if found is None:
            raise ImproperlyConfigured(f"unknown serializer {name!r}: known are {', '.join(sorted(self._by_name))}")
        return found

    def for_content_type(self, content_type: str) -> Serializer | None:
        return self._by_type.get(content_type)

    def content_types(self, accept: Iterable[str]) -> frozenset[str]:
        """The content types that a list of names and content types stands for; an unknown name stands for itself."""
        return frozenset(self._by_name[name].content_type if name in self._by_name else name for name in accept)

    def __iter__(self) -> Iterator[Serializer]:
        return iter(self._by_name.values())


def builtin_serializers() -> tuple[Serializer, ...]:
    """All four; yaml says what to install at its first use."""
    return (JSON, MSGPACK, YAML, PICKLE)


_ENDLESS = "the value refers to itself or is nested too deep"


def _depth_error(depth: int) -> str:
    return f"nested deeper than {depth} levels"


# JSON

_encode_json = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_decode_json = msgspec.json.Decoder().decode
_encode_stdlib = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_decode_tagged = json.JSONDecoder(object_hook=undress_one).decode
_decode_stdlib = json.JSONDecoder().decode

_STRINGS = re.compile(rb'"[^"]*"?')
_BRACES_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NOT_NESTING = bytes(set(range(256)) - set(b'[]{}"'))
_AS_STEPS = bytes.maketrans(b"[]", b"\x01\xff")
_PEELS = 5


def dumps_json(value: Any) -> bytes:
    """Write as Celery's json serializer does, compact, with our tags beside Celery's."""
    try:
        if is_plain(value):
            try:
                return _encode_json(value)
            except UnicodeEncodeError:  # a lone surrogate, which Python's json writes as an escape
                return _encode_stdlib(value).encode("ascii")
        data = _encode_stdlib(dress(value)).encode("ascii")
        if is_too_deep(data):
            raise EncodeError(_depth_error(MAX_DEPTH))
        return data
    except EncodeError:
        raise
    except RecursionError:
        raise EncodeError(_ENDLESS) from None
    except Unfit as unfit:
        raise unfit_error(value, _fits, unfit.why) from None
    except Exception as error:  # `__json__` and properties are the caller's code
        raise unfit_error(value, _fits, f"{type(error).__name__}: {error}") from error


_ROOM = MAX_DEPTH - 2
"""How deep an argument may nest: it lies in the list of arguments, which lies in the body."""


def dumps_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """As `dumps_json((args, kwargs, {}))`; quicker for a call without keywords whose arguments are plain."""
    if not kwargs:
        for value in args:
            if type(value) not in ATOMS and not is_plain(value, _ROOM):
                break
        else:
            try:
                return _encode_json((args, kwargs, kwargs))
            except UnicodeEncodeError:
                pass
    return dumps_json((args, kwargs, {}))


def dumps_calls(calls: Sequence[tuple[tuple[Any, ...], dict[str, Any]]]) -> list[bytes]:
    """`dumps_call` of each; all at once where they have plain arguments and no keywords, as most do."""
    named = [kwargs for _, kwargs in calls if kwargs]
    if not named:
        more = [value for args, _ in calls for value in args if type(value) not in ATOMS]
        if all(is_plain(value, _ROOM) for value in more):
            # A line end may stand between the words of JSON only, and there we write none.
            with suppress(UnicodeEncodeError):
                return _encode_lines([(*call, _NOTHING) for call in calls]).split(b"\n")[:-1]
    return [dumps_call(args, kwargs) for args, kwargs in calls]


_NOTHING: dict[str, Any] = {}


def _fits(value: Any) -> bool:
    try:
        _encode_stdlib(dress(value))
    except RecursionError:
        raise
    except Exception:
        return False
    return True


def loads_json(data: bytes) -> Any:
    """Read what we, Celery or Python's json wrote."""
    try:
        if is_too_deep(data):
            raise DecodeError(_depth_error(MAX_DEPTH))
        if has_tags(data):
            return _decode_tagged(_text(data))
        try:
            return _decode_json(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # NaN, Infinity, 1e999 and lone surrogates are the standard library's alone.
            return _decode_stdlib(_text(data))
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"not JSON: {error}") from error


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def is_too_deep(data: bytes, depth: int = MAX_DEPTH) -> bool:
    """Tell whether JSON text nests deeper than `depth`, before anything parses it."""
    # Nothing can nest deeper than it opens and closes; this ends nearly every call in 0.1 us.
    if len(data) <= 2 * depth or data.count(b"[") + data.count(b"{") <= depth:
        return False
    bare = _brackets(data)
    if b"[" * (depth + 1) in bare:
        return True
    for _ in range(_PEELS):
        peeled = bare.replace(b"[]", b"")
        if not peeled:
            return False
        if len(peeled) == len(bare):
            return bare.count(b"[") > depth  # unbalanced: no JSON
        bare = peeled
    # Made to be slow, or of a strange producer: one look at each bracket instead of one pass for each level.
    return max(accumulate(memoryview(bare.translate(_AS_STEPS)).cast("b"))) + _PEELS > depth


def _brackets(data: bytes) -> bytes:
    """What opens and closes in JSON text, all of it as "[" and "]"; strings may hold brackets that do neither."""
    if b"\\" in data:
        data = data.replace(rb"\\", b"").replace(rb"\"", b"")
    # Once only quotes and brackets are left, a string without brackets is two quotes in a row.
    bare = data.translate(_BRACES_AS_BRACKETS, _NOT_NESTING).replace(b'""', b"")
    return _STRINGS.sub(b"", bare) if b'"' in bare else bare


def shape_complaint(value: Any, depth: int = MAX_DEPTH, items: int = MAX_ITEMS) -> str:
    """Say why a tree is deeper or larger than allowed, "" if it is not; a YAML alias counts each time it is met."""
    level: list[Any] = [value]
    count = 0
    for _ in range(depth):
        inner: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                inner.extend(node.values())
            elif isinstance(node, _SEQUENCES):
                inner.extend(node)
            if count + len(inner) > items:
                return f"more than {items} items"
        if not inner:
            return ""
        count += len(inner)
        level = inner
    return _depth_error(depth) if any(isinstance(node, (dict, *_SEQUENCES)) for node in level) else ""


_SEQUENCES = (list, tuple, set, frozenset)


def _check_written(dressed: Any) -> Any:
    if complaint := shape_complaint(dressed):
        raise EncodeError(complaint)
    return dressed


def _check_read(value: Any) -> Any:
    if complaint := shape_complaint(value):
        raise DecodeError(complaint)
    return value


# msgpack

_encode_msgpack = msgspec.msgpack.Encoder().encode
_decode_msgpack = msgspec.msgpack.Decoder().decode
_MSGPACK_NATIVE: frozenset[type] = frozenset((bytes, bytearray))


def dumps_msgpack(value: Any) -> bytes:
    """Write plain values and bytes as Celery's msgpack serializer does, the rest with json's tags.

    Unlike Celery's, keys become text, as in json: one call means the same with either serializer.
    """
    try:
        return _encode_msgpack(_check_written(dress(value, _MSGPACK_NATIVE, wide=False)))
    except EncodeError:
        raise
    except RecursionError:
        raise EncodeError(_ENDLESS) from None
    except Unfit as unfit:
        raise unfit_error(value, _fits_msgpack, unfit.why) from None
    except Exception as error:
        raise unfit_error(value, _fits_msgpack, f"{type(error).__name__}: {error}") from error


def _fits_msgpack(value: Any) -> bool:
    try:
        _encode_msgpack(dress(value, _MSGPACK_NATIVE, wide=False))
    except RecursionError:
        raise
    except Exception:
        return False
    return True


def loads_msgpack(data: bytes) -> Any:
    try:
        value = _decode_msgpack(data)
        _check_read(value)
        return undress(value) if b"__value__" in data else value
    except DecodeError:
        raise
    except (ValueError, RecursionError, TypeError, msgspec.DecodeError) as error:
        raise DecodeError(f"not msgpack: {error}") from error


# YAML

_YAML_NATIVE: frozenset[type] = frozenset((bytes, date, datetime))


def _yaml() -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingExtra("the yaml serializer", "yaml") from None
    return yaml


def dumps_yaml(value: Any) -> bytes:
    yaml = _yaml()
    try:
        dressed = _check_written(dress(value, _YAML_NATIVE))
        return str(yaml.safe_dump(dressed, sort_keys=False)).encode("utf-8")
    except EncodeError:
        raise
    except RecursionError:
        raise EncodeError(_ENDLESS) from None
    except Unfit as unfit:
        raise unfit_error(value, _fits, unfit.why) from None
    except Exception as error:
        raise unfit_error(value, _fits, f"{type(error).__name__}: {error}") from error


def loads_yaml(data: bytes) -> Any:
    yaml = _yaml()
    try:
        return undress(_check_read(yaml.safe_load(data)))
    except DecodeError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise DecodeError(f"not YAML: {error}") from error


# pickle


def dumps_pickle(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=4)  # 4: what Celery on any supported Python reads
    except Exception as error:
        raise unfit_error(value, _fits_pickle, f"{type(error).__name__}: {error}") from error


def _fits_pickle(value: Any) -> bool:
    try:
        pickle.dumps(value, protocol=4)
    except RecursionError:
        raise
    except Exception:
        return False
    return True


def loads_pickle(data: bytes) -> Any:
    """Runs what the data says: only reached where `accept_content` names pickle."""
    try:
        return pickle.loads(data)
    except Exception as error:
        raise DecodeError(f"not a pickle: {error}") from error


JSON = Serializer("json", "application/json", "utf-8", dumps_json, loads_json)
MSGPACK = Serializer("msgpack", "application/x-msgpack", "binary", dumps_msgpack, loads_msgpack)
YAML = Serializer("yaml", "application/x-yaml", "utf-8", dumps_yaml, loads_yaml)
PICKLE = Serializer("pickle", "application/x-python-serialize", "binary", dumps_pickle, loads_pickle)
