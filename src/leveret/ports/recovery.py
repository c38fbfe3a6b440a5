"""What dead workers of another system left behind on a broker that both share."""

from typing import Protocol

from leveret.model.delivery import LeftBehind


class Recovery(Protocol):
    """A driver declares it with a method `recovery`."""

    usual_age: float
    """Seconds after which the other system itself takes a worker that has not settled for dead."""

    async def look(self, older_than: float) -> tuple[LeftBehind, ...]:
        """What has been held for longer than so many seconds; nothing is changed."""
        ...

    async def take_over(self, found: tuple[LeftBehind, ...]) -> int:
        """Put it back into its queues, each once whoever else does the same; answers how many."""
        ...
