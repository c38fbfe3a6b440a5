"""From a composed message to its result handle: what `Task`, `Signature`, `send_task`, `send_many` have in common."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from leveret.client.client import NO_OPTIONS, Client
from leveret.client.events import publishing
from leveret.client.limiting.publishing import apublish, publish
from leveret.client.limiting.uniqueness import Call, marked
from leveret.client.loops import running_loop
from leveret.client.options import seconds
from leveret.client.result import AsyncResult
from leveret.errors import LeveretWarning
from leveret.model.message import Message
from leveret.model.request import CURRENT
from leveret.model.task import TaskDefinition


class BlockingInLoop(LeveretWarning):
    """`delay()` was called on a thread whose event loop stood still meanwhile."""


def handle(client: Client, message: Message, options: Mapping[str, Any] = NO_OPTIONS) -> AsyncResult[Any]:
    """The result of a message; the task that sends it remembers it as its child."""
    result: AsyncResult[Any] = AsyncResult.sent(
        client, message.id, message.task, message.queue, message.ignore_result is True
    )
    request = CURRENT.get()
    if request is not None and options.get("add_to_parent", True):
        request.children.append(result.as_tuple())
    return result


def adopted(result: Any, options: Mapping[str, Any] = NO_OPTIONS) -> Any:
    """The result of a composition; the task that sends it remembers it as its child."""
    request = CURRENT.get()
    if request is not None and options.get("add_to_parent", True):
        request.children.append(result.as_tuple())
    return result


def send(
    client: Client,
    name: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    definition: TaskDefinition | None,
) -> AsyncResult[Any]:
    """Send one call from the calling thread."""
    message = client.compose(name, args, kwargs, options, definition)
    if definition is not None and definition.unique is not None:
        return send_calls(client, (marked(message, definition),), options)[0]
    submit(client, (message,), options)
    return handle(client, message, options)


async def asend(
    client: Client,
    name: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    definition: TaskDefinition | None,
) -> AsyncResult[Any]:
    """Send one call on the running loop's connection."""
    message = client.compose(name, args, kwargs, options, definition)
    if definition is not None and definition.unique is not None:
        return (await asend_calls(client, (marked(message, definition),), options))[0]
    await asubmit(client, (message,), options)
    return handle(client, message, options)


def send_calls(
    client: Client, calls: Sequence[Call], options: Mapping[str, Any] = NO_OPTIONS
) -> list[AsyncResult[Any]]:
    """Send many calls in one publish, those of unique tasks only where their key is free; the results in order, of
    those that were not sent the result of the one that has their key."""
    kept: Mapping[str, str] = {}
    if any(call.unique is not None for call in calls):
        kept = publish(client, calls, _timeout(options), lambda messages: submit(client, messages, options))
    else:
        submit(client, [call.message for call in calls], options)
    return [_handle(client, call.message, kept, options) for call in calls]


async def asend_calls(
    client: Client, calls: Sequence[Call], options: Mapping[str, Any] = NO_OPTIONS
) -> list[AsyncResult[Any]]:
    """As `send_calls`, on the running loop's connection."""
    kept: Mapping[str, str] = {}
    if any(call.unique is not None for call in calls):
        kept = await apublish(client, calls, _timeout(options), lambda messages: asubmit(client, messages, options))
    else:
        await asubmit(client, [call.message for call in calls], options)
    return [_handle(client, call.message, kept, options) for call in calls]


def _handle(client: Client, message: Message, kept: Mapping[str, str], options: Mapping[str, Any]) -> AsyncResult[Any]:
    by = kept.get(message.id)
    if by is None:
        return handle(client, message, options)
    # Another sender's child.
    return AsyncResult.sent(client, by, message.task, message.queue, message.ignore_result is True)


def submit(client: Client, messages: Sequence[Message], options: Mapping[str, Any] = NO_OPTIONS) -> None:
    if running_loop() is not None:
        warn_once(client)
    heard = publishing.is_heard()
    if heard:
        messages = publishing.before(messages)
    client.submit(messages, timeout=_timeout(options))
    if heard:
        publishing.after(messages)
    if client.sent is not None:
        client.sent.tell(messages)


async def asubmit(client: Client, messages: Sequence[Message], options: Mapping[str, Any] = NO_OPTIONS) -> None:
    heard = publishing.is_heard()
    if heard:
        messages = publishing.before(messages)
    await client.asubmit(messages, timeout=_timeout(options))
    if heard:
        publishing.after(messages)
    if client.sent is not None:
        await client.sent.atell(client.of_loop().events, messages)


def _timeout(options: Mapping[str, Any]) -> float | None:
    timeout = options.get("timeout")
    return None if timeout is None else seconds(timeout)


def warn_once(client: Client, depth: int = 5) -> None:
    """Warn at the caller's line, so many calls up from here."""
    if client.warned_of_loop:
        return
    client.warned_of_loop = True
    warnings.warn(
        "delay() and apply_async() stop this event loop for one round trip to the broker: "
        "use `await task.adelay(...)` or `await task.aapply_async(...)` in coroutines",
        BlockingInLoop,
        stacklevel=depth,
    )
