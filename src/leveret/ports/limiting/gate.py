"""Where the cluster's limits are kept: asked before a limited run, told after it. Every verb takes and answers a batch,
in order, as one transaction of the store; moments are read on the store's clock.

The rules are `logic.limiting`; docs/adr/0019 says why each waiting task is told a time instead of being called.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from leveret.model.delivery import SessionId
from leveret.model.limiting.gate import Answer, BoundState, Entry, Exit, Grant, Reason, Wish


class Gate(Protocol):
    """For worker processes."""

    async def enter(self, session: SessionId, entries: tuple[Entry, ...]) -> tuple[Answer, ...]:
        """All bounds of an entry or none. Idempotent by id: who holds what it asks for still does.

        Raises `LeaseLost` where the session is not registered, or was reaped: its slots would be free at once."""
        ...

    async def leave(self, session: SessionId, exits: tuple[Exit, ...], succeeded: Mapping[str, int]) -> None:
        """Free what these runs held and note their outcomes; told again it changes nothing but counts. `succeeded`: how
        many runs of each budget's key have succeeded since it was told last, those of no exit included."""
        ...


class Insight(Protocol):
    """For people: why something waits, and what stands behind each limit."""

    def reasons(self, ids: Sequence[str]) -> tuple[Reason | None, ...]: ...

    def states(self, limit: int) -> tuple[BoundState, ...]:
        """At most so many keys, those with most waiting first."""
        ...


class Keys(Protocol):
    """For callers that send unique tasks: one is asked before the publish and told after it.

    What is granted is pending until `sent`, and forgotten after `pending_seconds` without it: its sender died."""

    def wish(self, wishes: tuple[Wish, ...], pending_seconds: float) -> tuple[Grant, ...]: ...

    def sent(self, wishes: tuple[Wish, ...]) -> None: ...

    def unsent(self, wishes: tuple[Wish, ...]) -> None:
        """The publish failed: nobody has the key."""
        ...


class AsyncKeys(Protocol):
    """The same on the running loop."""

    async def wish(self, wishes: tuple[Wish, ...], pending_seconds: float) -> tuple[Grant, ...]: ...

    async def sent(self, wishes: tuple[Wish, ...]) -> None: ...

    async def unsent(self, wishes: tuple[Wish, ...]) -> None: ...


class Limiting(Protocol):
    """Declared by a driver whose server can keep limits; `gate` and `async_keys` belong to a loop."""

    def gate(self) -> Gate: ...

    def insight(self) -> Insight: ...

    def keys(self) -> Keys: ...

    def async_keys(self, *, inline: bool = True) -> AsyncKeys: ...
