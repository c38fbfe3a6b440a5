"""What must not run any more, kept where a claim looks (or, where a broker has no memory, whoever admits)."""

from collections.abc import Sequence
from typing import Protocol


class Revocations(Protocol):
    """Declared by a store (`driver.revocations`). A mark is the id of a task, a group or a stamp
    (`logic.remote.marks`)."""

    async def revoke(self, marks: Sequence[str], seconds: float) -> None:
        """Durable when it returns; kept for so long."""
        ...

    async def among(self, marks: Sequence[str]) -> frozenset[str]:
        """Those of them that are revoked."""
        ...

    async def all(self, limit: int) -> tuple[str, ...]:
        """What is revoked, at most so much of it."""
        ...
