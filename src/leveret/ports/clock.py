"""Time, chance and fresh ids: handed in, never taken (STYLE 7)."""

from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float: ...

    def jitter(self) -> float:
        """A number in [0, 1)."""
        ...

    def new_id(self) -> str:
        """A fresh uuid as text; ids made later sort later, as far as the clock tells."""
        ...

    def new_ids(self, count: int) -> list[str]:
        """As many of them, in order."""
        ...
