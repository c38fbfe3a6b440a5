"""What the cluster does not start at the moment, by order of somebody."""

from typing import Protocol

from msgspec import Struct


class Pause(Struct, frozen=True, kw_only=True):
    kind: str
    """`queue` or `task`."""
    name: str
    since: float
    by: str = ""
    """Who asked, and why."""


class Pauses(Protocol):
    """Declared by a store (`driver.pauses()`); durable. Each worker process reads it once a second."""

    async def pause(self, pauses: tuple[Pause, ...]) -> None: ...

    async def resume(self, kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
        """Answers those that were paused."""
        ...

    async def all(self) -> tuple[Pause, ...]: ...
