"""`before_task_publish` and `after_task_publish`: what is about to be sent, in Celery's terms, and what receivers
changed of it."""

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from leveret.client.specs import from_spec
from leveret.logic.wire.protocol import to_iso
from leveret.logic.wire.reprs import safe_repr
from leveret.model.message import Message
from leveret.signals import after_task_publish, before_task_publish


def is_heard() -> bool:
    """Whether anybody listens to what is sent."""
    return bool(before_task_publish.receivers or after_task_publish.receivers)


def before(messages: Sequence[Message]) -> list[Message]:
    """The messages as receivers leave them: headers of theirs, other arguments, another priority."""
    return [_before(message) for message in messages] if before_task_publish.receivers else list(messages)


def after(messages: Sequence[Message]) -> None:
    if not after_task_publish.receivers:
        return
    for message in messages:
        after_task_publish.send(
            message.task,
            headers=headers_of(message),
            body=body_of(message),
            exchange=message.exchange,
            routing_key=message.routing_key or message.queue,
        )


def _before(message: Message) -> Message:
    headers, body = headers_of(message), body_of(message)
    properties = {
        "correlation_id": message.id,
        "reply_to": message.reply_to or "",
        "delivery_mode": 2,
        "priority": message.priority,
    }
    known = dict(headers)
    before_task_publish.send(
        message.task,
        body=body,
        exchange=message.exchange,
        routing_key=message.routing_key or message.queue,
        headers=headers,
        properties=properties,
        declare=[],
        retry_policy={},
    )
    changes: dict[str, Any] = {}
    added = {name: value for name, value in headers.items() if name not in known or _is_own(message, name)}
    if added != dict(message.headers):
        changes["headers"] = added
    if list(body[0]) != list(message.args):
        changes["args"] = tuple(body[0])
    if body[1] != dict(message.kwargs):
        changes["kwargs"] = dict(body[1])
    for name in ("argsrepr", "kwargsrepr"):
        if headers.get(name) != known[name]:
            changes[name] = headers.get(name)
    if properties["priority"] != message.priority:
        changes["priority"] = properties["priority"]
    return replace(message, **changes) if changes else message


def _is_own(message: Message, name: str) -> bool:
    return name in message.headers


def body_of(message: Message) -> tuple[list[Any], dict[str, Any], Mapping[str, Any]]:
    """Celery's body: arguments, keyword arguments, what follows. The first two may be changed in place."""
    embed = message.embed
    follows = {
        "callbacks": [from_spec(spec) for spec in embed.callbacks] or None,
        "errbacks": [from_spec(spec) for spec in embed.errbacks] or None,
        "chain": [from_spec(spec) for spec in embed.chain] or None,
        "chord": None if embed.chord is None else from_spec(embed.chord),
    }
    return list(message.args), dict(message.kwargs), follows


def headers_of(message: Message) -> dict[str, Any]:
    """Celery's header table (celery.md 2.1), with the sender's own headers in it."""
    return {
        "lang": "py",
        "task": message.task,
        "id": message.id,
        "shadow": message.shadow,
        "eta": None if message.not_before is None else to_iso(message.not_before, "eta"),
        "expires": None if message.expires is None else to_iso(message.expires, "expires"),
        "group": message.group,
        "group_index": message.group_index,
        "retries": message.attempt,
        "timelimit": [message.time_limit, message.soft_time_limit],
        "root_id": message.root_id or message.id,
        "parent_id": message.parent_id,
        "argsrepr": safe_repr(message.args) if message.argsrepr is None else message.argsrepr,
        "kwargsrepr": safe_repr(dict(message.kwargs)) if message.kwargsrepr is None else message.kwargsrepr,
        "origin": message.origin or f"gen{os.getpid()}@{platform.node()}",
        "ignore_result": bool(message.ignore_result),
        "replaced_task_nesting": message.replaced_task_nesting,
        "stamped_headers": list(message.stamped_headers) or None,
        "stamps": dict(message.stamps),
        **message.headers,
    }
