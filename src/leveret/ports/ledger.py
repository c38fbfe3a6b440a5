"""What a broker without a memory is told by a store that has one: who is alive, who has which run, who was charged."""

from typing import Protocol

from msgspec import Struct

from leveret.model.delivery import Charge, SessionId
from leveret.model.node import Node, Pulse, Session, Testimony

Run = tuple[str, int]
"""(id, attempt)."""


class Standing(Struct, frozen=True, kw_only=True):
    """What the ledger knows of a run that a session takes."""

    held_by: str = ""
    """Another session that has it and is alive: it was not taken."""
    charges: tuple[Charge, ...] = ()
    suspect: bool = False
    """Whoever had it vanished, and nobody knows why."""


CLEAR = Standing()


class Ledger(Protocol):
    async def register(self, node: Node, sessions: tuple[Session, ...]) -> None:
        """Announce a node, or further sessions of it. A predecessor of the same name and boot whose process is gone
        is lost at once."""
        ...

    async def beat(self, node: Node) -> Pulse:
        """Renew the lease and see which nodes are lost: what their sessions had taken is anybody's, and suspect."""
        ...

    async def end(self, session: SessionId) -> None:
        """A session is over and its death, if it was one, has been testified: what it had taken is anybody's."""
        ...

    async def leave(self, node: Node) -> None: ...

    async def nodes(self) -> tuple[Node, ...]: ...

    async def take(
        self, session: SessionId, runs: tuple[Run, ...], ended: tuple[Run, ...] = ()
    ) -> tuple[Standing, ...]:
        """Take these runs for the session, and let go of those that have ended or were given back. One round trip."""
        ...

    async def testify(self, told: tuple[Testimony, ...]) -> None:
        """Write down charges and suspicion; they add up."""
        ...
