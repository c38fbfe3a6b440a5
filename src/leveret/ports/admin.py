"""What an operator asks of a broker."""

from typing import Protocol

from leveret.model.delivery import DeadLetter, QueueCounts, Whereabouts


class Admin(Protocol):
    async def declare(self, queues: tuple[str, ...]) -> None: ...

    async def counts(self, queues: tuple[str, ...] = ()) -> tuple[QueueCounts, ...]:
        """For the named queues, or every queue known."""
        ...

    async def find(self, ids: tuple[str, ...]) -> tuple[Whereabouts | None, ...]:
        """Where each message is if it is claimed, delayed or a dead letter. None: it is ready or gone; nobody looks
        through all that waits. For people, not for workers: it may read everything claimed or delayed."""
        ...

    async def trace(self, id: str, depth: int) -> Whereabouts | None:
        """Where one message is, with what it carries; also if it is ready, and then how many stand before it. Looks
        through at most about `depth` ready messages of each queue (0: none of them); None where it is not found."""
        ...

    async def sample(self, limit: int) -> tuple[tuple[str, str], ...]:
        """(queue, task) of about so many messages that wait, ready or delayed; none where a broker cannot show them."""
        ...

    async def delayed(self, queues: tuple[str, ...], limit: int) -> tuple[Whereabouts, ...]:
        """What of these queues is not due yet, with what it carries, the next first; at most `limit`, and of very many
        perhaps fewer. None where a broker cannot show them."""
        ...

    async def purge(self, queues: tuple[str, ...]) -> int:
        """Forget what waits (ready and delayed, not what is claimed); answers how many."""
        ...

    async def dead(self, queue: str | None = None, limit: int = 100) -> tuple[DeadLetter, ...]:
        """Newest first."""
        ...

    async def redrive(self, ids: tuple[str, ...]) -> int:
        """Send dead letters to their queues again, charges cleared; answers how many."""
        ...

    async def bury(self, ids: tuple[str, ...]) -> int:
        """Forget dead letters for good; answers how many."""
        ...
