"""Leases of nodes and the fleet's tick in one in-process server (DESIGN 3)."""

from collections.abc import Callable

from leveret.links.memory.messages import Messages
from leveret.model.delivery import Charge, Receipt, SessionId
from leveret.model.node import Node, Pulse, Reaping, Session
from leveret.model.options import DriverOptions

NODE_LOST = "node lost"


class Lease:
    __slots__ = ("expires", "node", "sessions")

    def __init__(self, node: Node, expires: float) -> None:
        self.node = node
        self.expires = expires
        self.sessions: list[SessionId] = []


class Nodes:
    """Touched under the server's lock only."""

    def __init__(self, options: DriverOptions, messages: Messages, alive: Callable[[int], bool]) -> None:
        self._options = options
        self._messages = messages
        self._alive = alive
        self._leases: dict[tuple[str, str], Lease] = {}
        self._tick: float | None = None
        self._reap_from = 0.0

    def register(self, node: Node, sessions: tuple[Session, ...], now: float) -> None:
        self._reap_predecessors(node, now)
        lease = self._renew(node, now)
        lease.node = node
        for session in sessions:
            if session.id not in lease.sessions:
                lease.sessions.append(session.id)
            self._messages.open(session)

    def beat(self, node: Node, now: float) -> Pulse:
        self.tick(now)
        revived = (node.name, node.incarnation) not in self._leases
        self._renew(node, now)
        reaped = 0
        if now >= self._reap_from:
            for lease in [lease for lease in self._leases.values() if lease.expires <= now]:
                reaped += self._lose(lease, now)
        suspects = self._messages.suspects(frozenset(node.queues))
        return Pulse(suspects=suspects, revived=revived, reaped=reaped)

    def tick(self, now: float) -> None:
        """Note that the store answers. After a silence nobody could have renewed: all get one lease of grace."""
        if self._tick is None or now - self._tick > self._options.tick_stale_seconds:
            self._reap_from = now + self._options.lease_seconds
        self._tick = now

    def reap(self, reaping: Reaping, now: float) -> int:
        """End one session: the charges first, so that no hand-over can come before them."""
        session = self._messages.session(reaping.session)
        if session is None:
            return 0
        charges, held = dict(reaping.charged), self._messages.held(session.id)
        for receipt in held:
            if receipt in charges:
                self._messages.charge(receipt, charges[receipt])
        if reaping.suspect_others:
            self._accuse(session, tuple(receipt for receipt in held if receipt not in charges), now)
        return self._end(session.id, now)

    def leave(self, node: Node, now: float) -> None:
        lease = self._leases.pop((node.name, node.incarnation), None)
        for session in lease.sessions if lease else ():
            self._messages.close(session, now)

    def alive(self, now: float) -> tuple[Node, ...]:
        return tuple(lease.node for lease in self._leases.values() if lease.expires > now)

    def _renew(self, node: Node, now: float) -> Lease:
        expires = now + self._options.lease_seconds
        lease = self._leases.setdefault((node.name, node.incarnation), Lease(node, expires))
        lease.expires = expires
        return lease

    def _reap_predecessors(self, node: Node, now: float) -> None:
        for lease in list(self._leases.values()):
            other = lease.node
            same_place = (other.name, other.boot) == (node.name, node.boot)
            if same_place and other.incarnation != node.incarnation and not self._alive(other.pid):
                self._lose(lease, now)

    def _lose(self, lease: Lease, now: float) -> int:
        """End a node that vanished. Nobody can say which of its messages did it: they become suspect. A quarantine
        session held one suspect alone, so that one is convicted."""
        del self._leases[lease.node.name, lease.node.incarnation]
        back = 0
        for name in tuple(lease.sessions):
            session = self._messages.session(name)
            if session is not None:
                self._accuse(session, self._messages.held(name), now)
                back += self._messages.close(name, now)
        return back

    def _accuse(self, session: Session, receipts: tuple[Receipt, ...], now: float) -> None:
        for receipt in receipts:
            self._messages.suspect(receipt)
            if session.quarantine:
                self._messages.charge(receipt, Charge(reason=NODE_LOST, at=now, session=session.id))

    def _end(self, session: SessionId, now: float) -> int:
        for lease in self._leases.values():
            if session in lease.sessions:
                lease.sessions.remove(session)
        return self._messages.close(session, now)
