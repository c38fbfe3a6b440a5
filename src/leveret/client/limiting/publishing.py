"""Carries out what `uniqueness` decides, on the caller's thread and on its loop."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from leveret.client.client import Client
from leveret.client.limiting.uniqueness import (
    FIRST_WAIT,
    LONGEST_WAIT,
    Asking,
    Call,
    no_keys,
    pending_seconds,
)
from leveret.errors import PublishUnknown
from leveret.model.limiting.gate import Wish
from leveret.model.message import Message
from leveret.ports.limiting.gate import AsyncKeys, Keys


def publish(
    client: Client, calls: Sequence[Call], timeout: float | None, send: Callable[[Sequence[Message]], None]
) -> Mapping[str, str]:
    """Send those whose key is free; answers of the others whose result is theirs. Raises `TaskAlreadySent`, and then
    nothing is sent."""
    keys = client.parts.keys
    if keys is None:
        raise no_keys(calls, client.options.results_address)
    asking = Asking(calls, client.clock.now())
    _ask(keys, asking, pending_seconds(client, timeout))
    refused = asking.refused()
    if refused is not None:
        keys.unsent(asking.won())
        raise refused
    messages = asking.to_send()
    if messages:
        _send(keys, asking.won(), lambda: send(messages))
    return asking.result_ids()


def _ask(keys: Keys, asking: Asking, pending: float) -> None:
    wait = FIRST_WAIT
    while wishes := asking.wishes():
        asking.heard(wishes, keys.wish(wishes, pending))
        if asking.wishes():
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


def _send(keys: Keys, won: tuple[Wish, ...], send: Callable[[], None]) -> None:
    try:
        send()
    except PublishUnknown:
        # It may be there: the key stays pending until its time is over, or until the message runs.
        raise
    except BaseException:
        keys.unsent(won)
        raise
    keys.sent(won)


async def apublish(
    client: Client, calls: Sequence[Call], timeout: float | None, send: Callable[[Sequence[Message]], Awaitable[None]]
) -> Mapping[str, str]:
    """As `publish`, on the running loop's connection."""
    keys = client.of_loop().keys
    if keys is None:
        raise no_keys(calls, client.options.results_address)
    asking = Asking(calls, client.clock.now())
    await _aask(keys, asking, pending_seconds(client, timeout))
    refused = asking.refused()
    if refused is not None:
        await keys.unsent(asking.won())
        raise refused
    messages = asking.to_send()
    if messages:
        await _asend(keys, asking.won(), lambda: send(messages))
    return asking.result_ids()


async def _aask(keys: AsyncKeys, asking: Asking, pending: float) -> None:
    import asyncio  # a coroutine runs, so it is loaded already

    wait = FIRST_WAIT
    while wishes := asking.wishes():
        asking.heard(wishes, await keys.wish(wishes, pending))
        if asking.wishes():
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


async def _asend(keys: AsyncKeys, won: tuple[Wish, ...], send: Callable[[], Awaitable[None]]) -> None:
    try:
        await send()
    except PublishUnknown:
        raise
    except BaseException:
        await keys.unsent(won)
        raise
    await keys.sent(won)
