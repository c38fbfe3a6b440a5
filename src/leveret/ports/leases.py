"""Who may hold messages: nodes renew one lease each, whatever their children run and for however long."""

from typing import Protocol

from leveret.model.delivery import Delivery, Receipt, SessionId
from leveret.model.node import Node, Pulse, Reaping, Session


class Leases(Protocol):
    async def register(self, node: Node, sessions: tuple[Session, ...]) -> None:
        """Announce a node (with its first sessions) or further sessions of it. A predecessor of the same name and
        boot whose process is gone is reaped at once."""
        ...

    async def beat(self, node: Node) -> Pulse:
        """Renew the lease, write the fleet's tick, reap nodes whose lease ran out while somebody could have renewed.

        A late renewal is accepted while the node has not been reaped: expired is not dead.
        """
        ...

    async def reap(self, reapings: tuple[Reaping, ...]) -> int:
        """End sessions: write the charges, then give back what they held. Answers how many messages went back."""
        ...

    async def reconcile(self, session: SessionId, held: tuple[Receipt, ...]) -> tuple[Delivery, ...]:
        """Give back what the store thinks the session holds and the session does not know (a reply lost on the way);
        answers those deliveries."""
        ...

    async def release(self, session: SessionId, keep: tuple[Receipt, ...]) -> int:
        """Give back everything the session holds except `keep`, uncharged, to its old place; the session goes on.

        Called by the supervisor for a child that does not answer (its unstarted work must not wait for it) and before
        a `reap` with `suspect_others`, so that only what really ran becomes suspect. Answers how many went back."""
        ...

    async def leave(self, node: Node) -> None:
        """A node that stops in order: its lease and sessions go, what they held goes back uncharged."""
        ...

    async def nodes(self) -> tuple[Node, ...]:
        """The nodes whose lease is alive."""
        ...


class Chores(Protocol):
    """Periodic upkeep a driver needs: promote what is due, forget what has expired, keep files small."""

    async def upkeep(self) -> float:
        """Do one small step of all of it; answers in how many seconds to call again."""
        ...
