"""Error callbacks of Celery's new style, `(request, exc, traceback)`: what they are told, as data and back.

Celery calls them in the worker that failed. Here they are tasks like others, sent once: a failure that is settled twice
(a crash between) does not call them twice. A Celery worker must not get one of these: so they wait where only ours look
(`Following`). Calling them in the failing process, as Celery does, was rejected: they would run outside of any slot,
limit and retry, and once more with each settlement that is repeated; and what convicts a killer has no slot at all.
"""

from collections.abc import Mapping
from typing import Any

from leveret.logic.results import error_to_wire, read_error, rebuild
from leveret.model.message import Message, TaskId
from leveret.model.outcome import ErrorInfo
from leveret.model.request import Request
from leveret.model.signature import SignatureSpec
from leveret.model.task import TaskDefinition

ERRBACK = "errback"
"""The setting of a message whose first three arguments are `telling`'s; and its lane, where it has one."""
_TOLD = ("id", "task", "args", "kwargs", "root_id", "parent_id", "group", "group_index", "origin")


def takes_error(definition: TaskDefinition, spec: SignatureSpec) -> bool:
    """Whether the function wants more than the failed task's id, beside what the signature gives it already."""
    wanted = [name for name in definition.positional[len(spec.args) :] if name not in spec.kwargs]
    return len(wanted) > 1


def telling(message: Message, error: ErrorInfo) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Request, error and traceback as any serializer writes them."""
    told = {name: getattr(message, name) for name in _TOLD}
    return {**told, "retries": message.attempt}, error_to_wire(error), error.traceback


def told(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments an error callback is called with."""
    facts, wire, traceback, *rest = args
    error = read_error(wire, traceback or "")
    failed = RuntimeError(str(wire)) if error is None else rebuild(error)
    return (_request(facts if isinstance(facts, Mapping) else {}), failed, traceback, *rest)


def _request(facts: Mapping[str, Any]) -> Request:
    message = Message(
        id=TaskId(str(facts.get("id"))),
        task=str(facts.get("task")),
        args=tuple(facts.get("args") or ()),
        kwargs=facts.get("kwargs") or {},
        attempt=facts.get("retries") or 0,
        root_id=facts.get("root_id"),
        parent_id=facts.get("parent_id"),
        group=facts.get("group"),
        group_index=facts.get("group_index"),
        origin=facts.get("origin"),
    )
    return Request(message)
