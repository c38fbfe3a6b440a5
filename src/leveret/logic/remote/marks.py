"""What is revoked, as one text each: the id of a task, a group, or a stamp with its value."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from leveret.model.message import Message

OURS = "\x1f"
"""No id begins with it, and unlike the NUL it is a character to every store."""
_GROUP, _STAMP = f"{OURS}group{OURS}", f"{OURS}stamp{OURS}"
_ORDER = f"{OURS}order{OURS}"


def of_id(id: str) -> str:
    return id


def of_group(group: str) -> str:
    return f"{_GROUP}{group}"


def of_stamp(name: str, value: Any) -> str:
    """Values are compared by their text: who writes `shop=1` on a command line means the number too."""
    return f"{_STAMP}{name}{OURS}{value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)}"


def of_stamps(stamps: Mapping[str, Any]) -> tuple[str, ...]:
    """A stamp may have several values; any of them counts, as in Celery."""
    return tuple(of_stamp(name, value) for name, values in stamps.items() for value in _listed(values))


def of_headers(headers: Mapping[str, Any]) -> tuple[str, ...]:
    """All marks by which the message of these headers may be revoked."""
    marks = [str(headers.get("id"))]
    group = headers.get("group")
    if isinstance(group, str):
        marks.append(of_group(group))
    stamps = headers.get("stamps")
    if isinstance(stamps, Mapping) and stamps:
        marks += of_stamps(stamps)
    return tuple(marks)


def of_message(message: Message) -> tuple[str, ...]:
    """As `of_headers`, of a message that is read."""
    group = () if message.group is None else (of_group(message.group),)
    return (message.id, *group, *of_stamps(message.stamps))


def of_command(method: str, arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """What a command revokes; nothing of one that does not."""
    match method:
        case "revoke" | "terminate":
            return tuple(map(of_id, _named(arguments.get("task_id"))))
        case "revoke_group":
            return tuple(map(of_group, _named(arguments.get("group_id"))))
        case "revoke_by_stamped_headers":
            given = arguments.get("headers") or {}
            # On a command line: name=value.
            pairs = given if isinstance(given, Mapping) else dict(str(one).partition("=")[::2] for one in given)
            return of_stamps(pairs)
        case _:
            return ()


def of_order(mark: str) -> str:
    """The id under which the result store keeps who revoked by this mark."""
    return f"{_ORDER}{mark}"


def named(mark: str) -> tuple[str, str]:
    """(`id`, `group` or `stamp`; its name) of a mark."""
    if mark.startswith(_GROUP):
        return "group", mark.removeprefix(_GROUP)
    if mark.startswith(_STAMP):
        return "stamp", "=".join(mark.removeprefix(_STAMP).split(OURS, 1))
    return "id", mark


def ids_among(marks: Iterable[str]) -> tuple[str, ...]:
    """Those that are ids: what Celery's workers tell one another."""
    return tuple(mark for mark in marks if not mark.startswith(OURS))


def _named(given: Any) -> Iterable[str]:
    return (given,) if isinstance(given, str) else map(str, given or ())


def _listed(values: Any) -> Iterable[Any]:
    return values if isinstance(values, list | tuple | set | frozenset) else (values,)
