"""What is about to be sent, where many messages make one thing and the broker takes them one by one; and what has an
outcome settled whose delivery nobody hands over again."""

from typing import Protocol

from msgspec import Struct

from leveret.model.delivery import Posting


class Unsent(Struct, frozen=True, kw_only=True):
    """A composition whose sender has not said that all of it is sent."""

    id: str
    postings: tuple[Posting, ...]


class BlockingOutbox(Protocol):
    """The sender's face, on the calling thread. Declared by stores (`BackendDriver.outbox`)."""

    def intend(self, unsent: Unsent, seconds: float) -> None:
        """Keep it; after `seconds` anybody may send it."""
        ...

    def sent(self, ids: tuple[str, ...]) -> None:
        """It is with the broker, or nothing of it is: forget it."""
        ...


class Outbox(Protocol):
    """The asynchronous face, of callers' loops and of the workers that finish what a dead sender began."""

    async def intend(self, unsent: Unsent, seconds: float) -> None: ...

    async def sent(self, ids: tuple[str, ...]) -> None: ...

    async def overdue(self, limit: int) -> tuple[Unsent, ...]:
        """What its sender should have sent by now."""
        ...
