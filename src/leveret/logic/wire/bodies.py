"""A message's body once it is read: in the form of protocol 2, whatever its sender wrote."""

from collections.abc import Mapping
from typing import Any

from leveret.errors import DecodeError

_FIELDS = ("task", "id", "root_id", "parent_id", "group", "group_index", "shadow", "eta", "expires", "retries")


def from_v1(headers: Mapping[str, Any], body: dict[str, Any]) -> tuple[Mapping[str, Any], list[Any]]:
    """Turn a v1 body, or a v1 body under v2 headers (hybrid), into v2 headers and body."""
    table = {name: body.get(name) for name in (*_FIELDS, "timelimit")}
    if body.get("taskset") is not None:
        table["group"] = body["taskset"]
    table.update(headers)
    embed = {name: body[name] for name in ("callbacks", "errbacks", "chord") if body.get(name) is not None}
    args, kwargs = body.get("args"), body.get("kwargs")
    return table, [[] if args is None else args, {} if kwargs is None else kwargs, embed]


def checked(body: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Arguments, keyword arguments and embed of a v2 body. Raises `DecodeError` for what is none."""
    if type(body) is not list and type(body) is not tuple:
        raise DecodeError(f"body: expected [args, kwargs, embed], got {type(body).__name__}")
    if len(body) != 3:
        raise DecodeError(f"body: expected [args, kwargs, embed], got {len(body)} elements")
    args, kwargs, embed = body
    if not isinstance(args, list | tuple):
        raise DecodeError(f"args: expected a list, got {type(args).__name__}")
    if type(kwargs) is not dict:
        raise DecodeError(f"kwargs: expected an object, got {type(kwargs).__name__}")
    for name in kwargs:
        if type(name) is not str:
            raise DecodeError(f"kwargs: names must be strings, got {type(name).__name__}")
    if embed is None:
        embed = {}
    if type(embed) is not dict:
        raise DecodeError(f"embed: expected an object, got {type(embed).__name__}")
    return args, kwargs, embed
