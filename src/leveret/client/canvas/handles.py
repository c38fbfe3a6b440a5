"""The handle on what a composition will come to: each result knows the one before it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from leveret.client.client import Client
from leveret.client.groups import GroupResult
from leveret.client.result import AsyncResult
from leveret.logic.canvas.plan import join_of
from leveret.logic.canvas.signatures import body_of, kind, parts, read_spec
from leveret.model.message import Message
from leveret.model.signature import SignatureSpec
from leveret.model.task import TaskDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the sender knows of the calls in a composition."""

    client: Client
    find: Callable[[str], TaskDefinition | None]
    sent: Mapping[str, Message]
    """Those that go out now, by id."""


def result_of(spec: SignatureSpec, known: Known) -> Any:
    """The result of a frozen composition."""
    match kind(spec):
        case "chain":
            return _chain(spec, known)
        case "group":
            made = GroupResult(str(spec.options["task_id"]), _all(spec, known))
            only = made.results[0] if len(made.results) == 1 else None
            # A group of one chain that ends in a group is that group: Celery's rule.
            return only if isinstance(only, GroupResult) else made
        case "chord":
            body = result_of(body_of(spec), known)
            header = read_spec(spec.kwargs["header"])
            _first(body).follow(GroupResult(join_of(spec), _all(header, known)))
            return body
    name = str(spec.options["task_id"])
    message = known.sent.get(name)
    if message is not None:
        return AsyncResult.sent(known.client, name, spec.task, message.queue, message.ignore_result is True)
    ignored = known.client.ignored(spec.options, known.find(spec.task))
    return AsyncResult.sent(known.client, name, spec.task, "", ignored)


def _all(spec: SignatureSpec, known: Known) -> list[Any]:
    return [result_of(member, known) for member in parts(spec)]


def _chain(spec: SignatureSpec, known: Known) -> Any:
    last = None
    for step in parts(spec):
        result = result_of(step, known)
        if last is not None:
            _first(result).follow(last)
        last = result
    return last


def _first(result: Any) -> Any:
    while result.known_parent is not None:
        result = result.known_parent
    return result
