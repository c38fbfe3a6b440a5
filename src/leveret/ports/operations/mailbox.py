"""How nodes are steered: commands go to all of them at once, answers to whoever asked."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from leveret.model.remote.command import Parcel

Hear = Callable[[Parcel], None]


class Inbox(Protocol):
    """Where one asker collects answers; open for the length of its context."""

    address: str
    """What a command names as the place for its answers."""

    async def take(self, timeout: float) -> tuple[Parcel, ...]:
        """Everything that has come, or comes first within `timeout` seconds; nothing when that is over."""
        ...


class Mailbox(Protocol):
    """Belongs to the loop that first awaits it. Commands are heard by who listens at that moment, and are lost to who
    does not: nothing is kept for a node that is away."""

    async def listen(self, node: str, hear: Hear) -> None:
        """Hear what is broadcast until cancelled, over outages too. An idle listener asks for nothing."""
        ...

    async def broadcast(self, parcels: tuple[Parcel, ...]) -> None:
        """To every node that listens. Raises `BrokerError` where the broker did not take them."""
        ...

    def inbox(self) -> AbstractAsyncContextManager[Inbox]: ...

    async def answer(self, address: str, parcels: tuple[Parcel, ...]) -> None:
        """To whoever asked; nobody may be there any more."""
        ...

    async def close(self) -> None: ...
