"""Where outcomes are kept and waited for."""

from collections.abc import Sequence
from typing import Protocol

from leveret.model.message import Addition, Header
from leveret.model.settlement import Joined, Record, Seat


class Backend(Protocol):
    """The asynchronous face (workers, async callers)."""

    async def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        """The fence. False: a terminal record or one of a later attempt is there, nothing was written.
        Storing the very same (id, attempt, state) again answers False for a terminal one."""
        ...

    async def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        """In the order of `ids`; None where nothing is known. Tombstones are answered too (workers need them)."""
        ...

    async def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        """As `get`, but return only when at least one of `ids` is terminal or has changed, or after `timeout`."""
        ...

    async def arrive(self, seats: tuple[Seat, ...]) -> tuple[Joined, ...]:
        """Take each seat; the first value wins. Complete joins answer their values, also when asked again. `release`
        is for whoever asks (`Commit` does so itself)."""
        ...

    async def forget(self, ids: Sequence[str]) -> None: ...

    async def close(self) -> None: ...


class ClosesJoins(Protocol):
    """Declared by a store whose `arrive` takes failed seats too: each closes its join unless that is complete."""

    closes_joins: bool


class SharedJoins(Protocol):
    """Of a store in whose joins other systems' workers sit too: they learn from it how large a join is, and when it is
    over."""

    shares_joins: bool

    async def opened(self, joins: tuple[Header, ...]) -> None:
        """Their members are about to be sent."""
        ...

    async def fired(self, joins: tuple[str, ...]) -> None:
        """What they release is published; told again it changes nothing."""
        ...


class GrowsJoins(Protocol):
    """Declared by a store whose joins may get further seats while a member runs (`add_to_chord`)."""

    async def grow(self, additions: tuple[Addition, ...]) -> tuple[bool, ...]:
        """Count each once, however often it is said. False: the seat of the member that adds it is taken, or the join
        is over; nothing is changed. In a closed join nothing is counted: nobody waits for it any more."""
        ...


class BlockingGrowsJoins(Protocol):
    """The same on the calling thread."""

    def grow(self, additions: tuple[Addition, ...]) -> tuple[bool, ...]: ...


class BlockingBackend(Protocol):
    """The caller's face."""

    def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]: ...

    def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]: ...

    def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]: ...

    def forget(self, ids: Sequence[str]) -> None: ...

    def close(self) -> None: ...
