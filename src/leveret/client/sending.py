"""From a composed message to its result handle: what `Task`, `Signature`, `send_task`, `send_many` have in common."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from leveret.client.client import NO_OPTIONS, Client
from leveret.client.events import publishing
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


def handles(client: Client, messages: Sequence[Message]) -> list[AsyncResult[Any]]:
    """The results of many messages, in order."""
    return [handle(client, message) for message in messages]


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
    await asubmit(client, (message,), options)
    return handle(client, message, options)


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


def warn_once(client: Client) -> None:
    if client.warned_of_loop:
        return
    client.warned_of_loop = True
    warnings.warn(
        "delay() and apply_async() stop this event loop for one round trip to the broker: "
        "use `await task.adelay(...)` or `await task.aapply_async(...)` in coroutines",
        BlockingInLoop,
        stacklevel=5,
    )
