"""The in-process server behind every `memory://` URL: broker, leases and store under one lock."""

import os
import threading
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

from msgspec.structs import replace

from leveret.links.memory.bells import Bells
from leveret.links.memory.events import Ears
from leveret.links.memory.limits import Limits
from leveret.links.memory.mailbox import Boxes
from leveret.links.memory.messages import Messages
from leveret.links.memory.nodes import Nodes
from leveret.links.memory.records import Records
from leveret.links.memory.schedules import Schedules
from leveret.links.memory.tracing import delayed, find, sample, trace
from leveret.logic.remote.marks import of_headers
from leveret.model.delivery import (
    Claim,
    DeadLetter,
    Delivery,
    Posting,
    QueueCounts,
    Receipt,
    Return,
    SessionId,
    Verdict,
    Whereabouts,
)
from leveret.model.message import Addition
from leveret.model.node import Node, Pulse, Reaping, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Joined, Record, Seat, Stale
from leveret.model.state import REVOKED
from leveret.ports.clock import Clock
from leveret.ports.limiting.pauses import Pause

UPKEEP_SECONDS = 1.0
UPKEEP_STEP = 200
NOT_OURS = "the receipt is not held any more"
FENCED = "a terminal record or a later attempt is stored"


def process_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


class MemoryServer:
    """Every verb is one step under `lock` (which guards everything below), so each is a transaction."""

    def __init__(
        self, options: DriverOptions, clock: Clock, alive: Callable[[int], bool] = process_alive, name: str = "memory"
    ) -> None:
        self.name = name
        self.clock = clock
        self.lock = threading.RLock()
        self.bells = Bells()
        """Queues."""
        self.results = Bells()
        """Task ids and reply addresses."""
        self.records = Records(options, self.results)
        self.messages = Messages(options, self.bells, self.records.stops)
        self.nodes = Nodes(options, self.messages, alive)
        self.schedules = Schedules()
        self.boxes = Boxes()
        self.revoked: dict[str, float] = {}
        """Marks, and until when they are kept."""
        self.limits = Limits(lambda session: self.messages.session(SessionId(session)) is not None)
        self.pauses: dict[tuple[str, str], Pause] = {}
        self.ears = Ears()
        """Who watches events; it has a guard of its own."""

    # Broker

    def publish(self, postings: tuple[Posting, ...]) -> None:
        with self.lock:
            now = self.clock.now()
            for posting in postings:
                self.messages.publish(posting, now)

    def claim(self, claim: Claim) -> tuple[Delivery, ...]:
        with self.lock:
            return tuple(map(self._with_revoked, self.messages.claim(claim, self.clock.now())))

    def _with_revoked(self, delivery: Delivery) -> Delivery:
        marks = of_headers(delivery.encoded.headers)
        return replace(delivery, revoked=True) if any(map(self.is_revoked, marks)) else delivery

    # Revocations

    def revoke(self, marks: Sequence[str], seconds: float) -> None:
        with self.lock:
            now = self.clock.now()
            for mark in marks:
                self.revoked[mark] = max(self.revoked.get(mark, 0.0), now + seconds)

    def is_revoked(self, mark: str) -> bool:
        """By a mark, or by a stored outcome."""
        record = self.records.get((mark,))[0]
        return self.revoked.get(mark, 0.0) > self.clock.now() or (record is not None and record.state == REVOKED)

    def settle(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        with self.lock:
            now = self.clock.now()
            return tuple(self._settle(commitment, now) for commitment in commitments)

    def give_back(self, returns: tuple[Return, ...]) -> None:
        with self.lock:
            now = self.clock.now()
            for back in returns:
                if self.messages.holds(back.receipt):
                    self.messages.release(back.receipt, now, back.delay, counted=back.counted)

    def commit(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        with self.lock:
            now = self.clock.now()
            return tuple(self._commit(commitment, now) for commitment in commitments)

    def _commit(self, commitment: Commitment, now: float) -> Committed | Stale:
        if not self.messages.holds(commitment.receipt):
            return Stale(NOT_OURS)
        if commitment.record is not None and not self.records.store(commitment.record, now):
            return Stale(FENCED)
        for record in commitment.also:
            self.records.store(record, now)
        # The delivery ends first: with follow-ups of the same id the predecessor must not stand in the door.
        self._settle(commitment, now)
        for posting in commitment.follow:
            self.messages.publish(posting, now)
        return Committed(self._take(commitment.seat, now) if commitment.seat else None)

    def _take(self, seat: Seat, now: float) -> Joined:
        """Take a seat, and do all that this sets free, in the one step."""
        joined = self.records.arrive(seat, now)
        if seat.release is not None:
            released = seat.release(joined)
            for record in released.records:
                self.records.store(record, now)
            for posting in released.follow:
                self.messages.publish(posting, now)
            for further in released.seats:
                self._take(further, now)
        return joined

    def _settle(self, commitment: Commitment, now: float) -> Committed | Stale:
        if not self.messages.holds(commitment.receipt):
            return Stale(NOT_OURS)
        if commitment.verdict is Verdict.RELEASE:
            self.messages.release(commitment.receipt, now, commitment.delay, counted=commitment.counted)
        else:
            self.messages.settle(commitment.receipt, commitment.verdict, now, commitment.reason)
        return Committed()

    # Leases and chores

    def register(self, node: Node, sessions: tuple[Session, ...]) -> None:
        with self.lock:
            self.nodes.register(node, sessions, self.clock.now())

    def beat(self, node: Node) -> Pulse:
        with self.lock:
            return self.nodes.beat(node, self.clock.now())

    def reap(self, reapings: tuple[Reaping, ...]) -> int:
        with self.lock:
            now = self.clock.now()
            return sum(self.nodes.reap(reaping, now) for reaping in reapings)

    def reconcile(self, session: SessionId, held: tuple[Receipt, ...]) -> tuple[Delivery, ...]:
        with self.lock:
            return self.messages.reconcile(session, frozenset(held), self.clock.now())

    def release(self, session: SessionId, keep: tuple[Receipt, ...]) -> int:
        with self.lock:
            return self.messages.release_others(session, frozenset(keep), self.clock.now())

    def leave(self, node: Node) -> None:
        with self.lock:
            self.nodes.leave(node, self.clock.now())

    def alive(self) -> tuple[Node, ...]:
        with self.lock:
            return self.nodes.alive(self.clock.now())

    def upkeep(self) -> float:
        with self.lock:
            now = self.clock.now()
            self.nodes.tick(now)
            self.messages.promote(now)
            for mark in [mark for mark, until in self.revoked.items() if until <= now]:
                del self.revoked[mark]
            self.limits.prune(now)
            more = self.records.expire(now, UPKEEP_STEP)
            more = self.messages.expire_dead(now, UPKEEP_STEP) or more
            return 0.0 if more else UPKEEP_SECONDS

    # The operator

    def declare(self, queues: tuple[str, ...]) -> None:
        with self.lock:
            self.messages.declare(queues)

    def counts(self, queues: tuple[str, ...]) -> tuple[QueueCounts, ...]:
        with self.lock:
            return self.messages.counts(queues, self.clock.now())

    def find(self, ids: tuple[str, ...]) -> tuple[Whereabouts | None, ...]:
        with self.lock:
            now = self.clock.now()
            return tuple(find(self.messages, key, now) for key in ids)

    def trace(self, id: str, depth: int) -> Whereabouts | None:
        with self.lock:
            return trace(self.messages, id, self.clock.now(), depth)

    def sample(self, limit: int) -> tuple[tuple[str, str], ...]:
        with self.lock:
            return sample(self.messages, limit)

    def delayed(self, queues: tuple[str, ...], limit: int) -> tuple[Whereabouts, ...]:
        with self.lock:
            return delayed(self.messages, frozenset(queues), self.clock.now(), limit)

    def purge(self, queues: tuple[str, ...]) -> int:
        with self.lock:
            return self.messages.purge(frozenset(queues))

    def dead(self, queue: str | None, limit: int) -> tuple[DeadLetter, ...]:
        with self.lock:
            return self.messages.dead(queue, limit)

    def redrive(self, ids: tuple[str, ...]) -> int:
        with self.lock:
            now = self.clock.now()
            sent = [key for key in ids if self.messages.redrive(key, now)]
            # What was stored of the first life (WorkerLostError, say) would refuse the outcome of the second.
            self.records.forget(sent)
            return len(sent)

    def bury(self, ids: tuple[str, ...]) -> int:
        with self.lock:
            return sum(self.messages.bury(key) for key in ids)

    # The store

    def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        with self.lock:
            now = self.clock.now()
            return tuple(self.records.store(record, now) for record in records)

    def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        with self.lock:
            return self.records.get(ids)

    def arrive(self, seats: tuple[Seat, ...]) -> tuple[Joined, ...]:
        with self.lock:
            now = self.clock.now()
            return tuple(self.records.arrive(seat, now) for seat in seats)

    def grow(self, additions: tuple[Addition, ...]) -> tuple[bool, ...]:
        with self.lock:
            return tuple(map(self.records.grow, additions))

    def forget(self, ids: Sequence[str]) -> None:
        with self.lock:
            self.records.forget(ids)


_SERVERS: "WeakValueDictionary[str, MemoryServer]" = WeakValueDictionary()
"""One server per URL for as long as anybody uses it; `_SERVERS_LOCK` guards the look-up."""
_SERVERS_LOCK = threading.Lock()


def server_at(url: str, options: DriverOptions, clock: Clock) -> MemoryServer:
    """Answer the process's one server of that URL, made with the options and the clock of whoever came first."""
    name = url.partition("://")[2].strip("/") or "default"
    with _SERVERS_LOCK:
        server = _SERVERS.get(name)
        if server is None:
            server = MemoryServer(options, clock, name=f"memory://{name}")
            _SERVERS[name] = server
        return server
