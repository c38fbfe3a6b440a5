"""Sending a composition as one thing, also to a broker that takes its messages one by one.

A sender that dies in the middle would leave a chord that never completes. So its messages are first written down in the
store, and forgotten when the broker has them all; what is still there after a while is sent by a worker. Where broker
and store are one server a publish is one transaction, and there is nothing to write down.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from leveret.client import sending
from leveret.client.client import Client
from leveret.errors import ChordError, PublishFailed
from leveret.model.message import Message
from leveret.ports.outbox import Unsent

GRACE_SECONDS = 10.0
"""How long after the deadline of a publish it counts as abandoned."""


def submit_whole(
    client: Client,
    name: str,
    messages: Sequence[Message],
    options: Mapping[str, Any],
    before: Callable[[], None] | None = None,
) -> None:
    """`before` is called when it is written down and not sent; it may raise `ChordError`, so that nothing is sent."""
    outbox = client.parts.outbox
    if outbox is None:
        sending.submit(client, messages, options)
        return
    outbox.intend(Unsent(id=name, postings=client.postings(messages)), _patience(client))
    try:
        if before is not None:
            before()
        sending.submit(client, messages, options)
    except (PublishFailed, ChordError):
        # None is there. Of one whose fate is unknown the worker makes sure that all of it is.
        outbox.sent((name,))
        raise
    outbox.sent((name,))


async def asubmit_whole(
    client: Client,
    name: str,
    messages: Sequence[Message],
    options: Mapping[str, Any],
    before: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """As `submit_whole`, on the running loop's connection."""
    outbox = client.of_loop().outbox
    if outbox is None:
        await sending.asubmit(client, messages, options)
        return
    await outbox.intend(Unsent(id=name, postings=client.postings(messages)), _patience(client))
    try:
        if before is not None:
            await before()
        await sending.asubmit(client, messages, options)
    except (PublishFailed, ChordError):
        await outbox.sent((name,))
        raise
    await outbox.sent((name,))


def _patience(client: Client) -> float:
    return client.options.publish_timeout + GRACE_SECONDS
