"""The in-process broker: the reference every other driver is compared with. Nothing survives the process."""

from leveret.errors import LeaseLost
from leveret.links.memory.bells import LoopWaiter
from leveret.links.memory.events import MemoryBlockingEvents, MemoryEvents
from leveret.links.memory.gate import MemoryAsyncKeys, MemoryGate, MemoryInsight, MemoryKeys
from leveret.links.memory.mailbox import MemoryMailbox
from leveret.links.memory.server import MemoryServer, server_at
from leveret.links.memory.store import MemoryBackend, MemoryBlockingBackend, MemoryPauses, MemoryRevocations
from leveret.model.delivery import (
    Claim,
    DeadLetter,
    Delivery,
    Posting,
    QueueCounts,
    Receipt,
    Return,
    SessionId,
    Whereabouts,
)
from leveret.model.endpoint import Url
from leveret.model.node import Node, Pulse, Reaping, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Stale
from leveret.ports.broker import Capability
from leveret.ports.clock import Clock

CAPABILITIES = frozenset(
    {
        Capability.DELAY,
        Capability.PRIORITY,
        Capability.DEDUPE,
        Capability.LEASE,
        Capability.COMMIT,
        Capability.PLACES,
        Capability.COUNTS,
        Capability.LANES,
    }
)


class MemoryBroker:
    """`ports.broker.Broker`; also `Commit`, since the server is the store too."""

    capabilities = CAPABILITIES

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._heard: dict[str, int] = {}
        """How often each queue's bell had rung at the last claim that left nothing behind."""

    async def publish(self, postings: tuple[Posting, ...]) -> None:
        self._server.publish(postings)

    async def claim(self, claim: Claim) -> tuple[Delivery, ...]:
        return self._claim(claim)

    def _claim(self, claim: Claim) -> tuple[Delivery, ...]:
        with self._server.lock:
            deliveries = self._server.claim(claim)
            emptied = len(deliveries) < claim.credit
            for queue in claim.queues:
                self._heard[queue] = self._server.bells.rung(queue) if emptied else -1
        return deliveries

    async def settle(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        return self._server.settle(commitments)

    async def give_back(self, returns: tuple[Return, ...]) -> None:
        self._server.give_back(returns)

    async def commit(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        return self._server.commit(commitments)

    async def commit_and_claim(
        self, commitments: tuple[Commitment, ...], claim: Claim
    ) -> tuple[tuple[Committed | Stale, ...], tuple[Delivery, ...]]:
        with self._server.lock:
            answers = self._server.commit(commitments)
            try:
                return answers, self._claim(claim)
            except LeaseLost:
                return answers, ()

    async def bell(self, queues: tuple[str, ...], timeout: float) -> None:
        """Wait for a ring since this broker's last claim; what is delayed rings when it is due."""
        waiter = LoopWaiter()
        with self._server.lock:
            if any(self._heard.get(queue, -1) != self._server.bells.rung(queue) for queue in queues):
                return
            due = self._server.messages.next_due(queues)
            self._server.bells.listen(queues, waiter)
        if due is not None:
            timeout = min(timeout, max(due - self._server.clock.now(), 0.0))
        try:
            await waiter.wait(timeout)
        finally:
            with self._server.lock:
                self._server.bells.unlisten(queues, waiter)

    async def close(self) -> None:
        return None


class MemoryBlockingBroker:
    """`ports.broker.BlockingBroker`."""

    def __init__(self, server: MemoryServer, address: str) -> None:
        self._server = server
        self._address = address

    def publish(self, postings: tuple[Posting, ...], *, timeout: float) -> None:
        self._server.publish(postings)

    def reply_address(self) -> str | None:
        return self._address

    def close(self) -> None:
        return None


class MemoryLeases:
    """`ports.leases.Leases`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def register(self, node: Node, sessions: tuple[Session, ...]) -> None:
        self._server.register(node, sessions)

    async def beat(self, node: Node) -> Pulse:
        return self._server.beat(node)

    async def reap(self, reapings: tuple[Reaping, ...]) -> int:
        return self._server.reap(reapings)

    async def reconcile(self, session: SessionId, held: tuple[Receipt, ...]) -> tuple[Delivery, ...]:
        return self._server.reconcile(session, held)

    async def release(self, session: SessionId, keep: tuple[Receipt, ...]) -> int:
        return self._server.release(session, keep)

    async def leave(self, node: Node) -> None:
        self._server.leave(node)

    async def nodes(self) -> tuple[Node, ...]:
        return self._server.alive()


class MemoryChores:
    """`ports.leases.Chores`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def upkeep(self) -> float:
        return self._server.upkeep()


class MemoryAdmin:
    """`ports.admin.Admin`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def declare(self, queues: tuple[str, ...]) -> None:
        self._server.declare(queues)

    async def counts(self, queues: tuple[str, ...] = ()) -> tuple[QueueCounts, ...]:
        return self._server.counts(queues)

    async def find(self, ids: tuple[str, ...]) -> tuple[Whereabouts | None, ...]:
        return self._server.find(ids)

    async def trace(self, id: str, depth: int) -> Whereabouts | None:
        return self._server.trace(id, depth)

    async def sample(self, limit: int) -> tuple[tuple[str, str], ...]:
        return self._server.sample(limit)

    async def delayed(self, queues: tuple[str, ...], limit: int) -> tuple[Whereabouts, ...]:
        return self._server.delayed(queues, limit)

    async def purge(self, queues: tuple[str, ...]) -> int:
        return self._server.purge(queues)

    async def dead(self, queue: str | None = None, limit: int = 100) -> tuple[DeadLetter, ...]:
        return self._server.dead(queue, limit)

    async def redrive(self, ids: tuple[str, ...]) -> int:
        return self._server.redrive(ids)

    async def bury(self, ids: tuple[str, ...]) -> int:
        return self._server.bury(ids)


class MemoryDriver:
    """`ports.driver.FusedDriver`. Every driver of one URL in a process shares one server, whatever thread or loop."""

    capabilities = CAPABILITIES

    closes_joins = True

    def __init__(self, url: Url, options: DriverOptions, clock: Clock, server: MemoryServer | None = None) -> None:
        self.server = server or server_at(url, options, clock)
        self.address = self.server.name

    def broker(self, *, inline: bool = True) -> MemoryBroker:
        return MemoryBroker(self.server)

    def leases(self) -> MemoryLeases:
        return MemoryLeases(self.server)

    def chores(self) -> MemoryChores:
        return MemoryChores(self.server)

    def admin(self) -> MemoryAdmin:
        return MemoryAdmin(self.server)

    def revocations(self) -> MemoryRevocations:
        return MemoryRevocations(self.server)

    def gate(self) -> MemoryGate:
        return MemoryGate(self.server)

    def insight(self) -> MemoryInsight:
        return MemoryInsight(self.server)

    def keys(self) -> MemoryKeys:
        return MemoryKeys(self.server)

    def async_keys(self, *, inline: bool = True) -> MemoryAsyncKeys:
        return MemoryAsyncKeys(self.server)

    def pauses(self) -> MemoryPauses:
        return MemoryPauses(self.server)

    def mailbox(self) -> MemoryMailbox:
        return MemoryMailbox(self.server.boxes)

    def blocking(self) -> MemoryBlockingBroker:
        return MemoryBlockingBroker(self.server, f"{self.server.name}#reply")

    def backend(self, *, inline: bool = True) -> MemoryBackend:
        return MemoryBackend(self.server)

    def blocking_backend(self) -> MemoryBlockingBackend:
        return MemoryBlockingBackend(self.server)

    def commit(self) -> MemoryBroker:
        return MemoryBroker(self.server)

    def events(self) -> MemoryEvents:
        return MemoryEvents(self.server.ears)

    def blocking_events(self) -> MemoryBlockingEvents:
        return MemoryBlockingEvents(self.server.ears)
