"""Live messages, who holds them, and the dead letters of one in-process broker."""

from collections.abc import Callable, Iterable

from leveret.errors import LeaseLost
from leveret.links.memory.bells import Bells
from leveret.links.memory.queues import LEVELS, QueueState, Row, take
from leveret.model.delivery import (
    Charge,
    Claim,
    DeadLetter,
    Delivery,
    Posting,
    QueueCounts,
    Receipt,
    SessionId,
    Verdict,
)
from leveret.model.node import Session
from leveret.model.options import DriverOptions


class Holding:
    """What one session holds, and its last claim: the answer is given again when the same number asks."""

    __slots__ = ("answer", "held", "number", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.held: dict[Receipt, Row] = {}
        self.number = -1
        self.answer: tuple[Delivery, ...] = ()


class Messages:
    """Touched under the server's lock only. `stops` is the store's word on whether a posting has run already."""

    def __init__(self, options: DriverOptions, bells: Bells, stops: Callable[[Posting], bool]) -> None:
        self._options = options
        self._bells = bells
        self._stops = stops
        self._queues: dict[str, QueueState] = {}
        self._live: dict[str, list[Row]] = {}
        self._holdings: dict[SessionId, Holding] = {}
        self._dead: dict[str, tuple[DeadLetter, Posting]] = {}
        self._owners: dict[Receipt, Row] = {}
        self._seq = 0
        self._receipts = 0
        levels = range(LEVELS)
        self.levels = tuple(reversed(levels)) if options.high_first else tuple(levels)

    # Coming in

    def publish(self, posting: Posting, now: float) -> None:
        if not self._is_copy(posting):
            self._enter(posting, now)

    def declare(self, queues: Iterable[str]) -> None:
        for name in queues:
            self._queue(name)

    def _is_copy(self, posting: Posting) -> bool:
        """A resend of what is still here is always a copy; `once` also sees other queues and what has ended.

        A predecessor (the same id, a lower attempt) never stops its retry.
        """
        for row in self._live.get(posting.id, ()):
            other = row.posting
            if other.attempt == posting.attempt and other.queue == posting.queue:
                return True
            if posting.once and other.attempt >= posting.attempt:
                return True
        return posting.once and self._stops(posting)

    def _enter(self, posting: Posting, now: float) -> None:
        self._seq += 1
        row = Row(posting, self._seq, now)
        self._live.setdefault(posting.id, []).append(row)
        self._wait(row, now)

    # Going out

    def claim(self, claim: Claim, now: float) -> tuple[Delivery, ...]:
        holding = self._holding(claim.session)
        if claim.number == holding.number:
            return tuple(delivery for delivery in holding.answer if delivery.receipt in holding.held)
        if claim.number < holding.number:
            return ()  # a late copy of an earlier request: its answer was taken or given back long ago
        queues = [self._queue(name) for name in dict.fromkeys(claim.queues)]
        for queue in queues:
            queue.promote(now)
        rows = take(queues, self.levels, claim.credit, suspects=claim.suspects)
        holding.number = claim.number
        holding.answer = tuple(self._hand_over(row, holding) for row in rows)
        return holding.answer

    def _hand_over(self, row: Row, holding: Holding) -> Delivery:
        self._receipts += 1
        receipt = Receipt(f"{holding.session.id}/{self._receipts}")
        row.stamp += 1
        row.receipt, row.session = receipt, holding.session.id
        holding.held[receipt] = row
        self._owners[receipt] = row
        return row.delivery(receipt)

    # Coming back

    def holds(self, receipt: Receipt) -> bool:
        return receipt in self._owners

    def settle(self, receipt: Receipt, verdict: Verdict, now: float, reason: str = "") -> None:
        """End a hand-over that `holds` with ACK or REJECT."""
        row = self._let_go(receipt)
        self._drop(row)
        if verdict is Verdict.REJECT:
            posting = row.posting
            letter = DeadLetter(
                id=posting.id,
                queue=posting.queue,
                reason=reason,
                at=now,
                encoded=posting.encoded,
                charges=row.charges,
            )
            self._dead[posting.id] = (letter, posting)

    def release(self, receipt: Receipt, now: float, delay: float, *, counted: bool) -> None:
        row = self._let_go(receipt)
        row.count += counted
        row.due = now + delay if delay > 0 else 0.0
        self._wait(row, now)

    def charge(self, receipt: Receipt, charge: Charge) -> None:
        row = self._owners.get(receipt)
        if row is not None:
            row.charges = (*row.charges, charge)

    def suspect(self, receipt: Receipt) -> None:
        self._owners[receipt].suspect = True

    # Sessions

    def open(self, session: Session) -> None:
        if session.id not in self._holdings:
            self._holdings[session.id] = Holding(session)

    def close(self, session: SessionId, now: float) -> int:
        """End a session; what it held goes back to its old place. It may have begun, so the next delivery counts
        one more: `admit` then looks for an outcome that was stored before the end."""
        receipts = self.held(session)
        for receipt in receipts:
            self.release(receipt, now, 0.0, counted=True)
        self._holdings.pop(session, None)
        return len(receipts)

    def held(self, session: SessionId) -> tuple[Receipt, ...]:
        holding = self._holdings.get(session)
        return tuple(holding.held) if holding else ()

    def session(self, session: SessionId) -> Session | None:
        holding = self._holdings.get(session)
        return holding.session if holding else None

    def reconcile(self, session: SessionId, known: frozenset[Receipt], now: float) -> tuple[Delivery, ...]:
        holding = self._holding(session)
        unknown = [(receipt, row) for receipt, row in holding.held.items() if receipt not in known]
        answer = tuple(row.delivery(receipt) for receipt, row in unknown)
        for receipt, _ in unknown:
            self.release(receipt, now, 0.0, counted=True)
        return answer

    def release_others(self, session: SessionId, keep: frozenset[Receipt], now: float) -> int:
        """As `close` for all but `keep`, and the session goes on. Counted: what runs no more may have ended with its
        outcome stored and not settled, and `admit` looks for it only when the count is above 1."""
        receipts = [receipt for receipt in self.held(session) if receipt not in keep]
        for receipt in receipts:
            self.release(receipt, now, 0.0, counted=True)
        return len(receipts)

    # Upkeep and the operator

    def promote(self, now: float) -> None:
        for name, queue in self._queues.items():
            if queue.promote(now):
                self._bells.ring(name)

    def next_due(self, queues: Iterable[str]) -> float | None:
        dues = [due for name in queues if (due := self._queue(name).next_due()) is not None]
        return min(dues, default=None)

    def suspects(self, queues: frozenset[str]) -> int:
        return sum(row.suspect and row.receipt is None and row.posting.queue in queues for row in self.rows())

    def counts(self, queues: tuple[str, ...], now: float) -> tuple[QueueCounts, ...]:
        known = {*self._queues, *(letter.queue for letter, _ in self._dead.values())}
        return tuple(self._count(name, now) for name in (queues or sorted(known)))

    def _count(self, name: str, now: float) -> QueueCounts:
        rows = [row for row in self.rows() if row.posting.queue == name]
        waiting = [row for row in rows if row.receipt is None]
        ready = [row for row in waiting if row.due <= now]
        return QueueCounts(
            queue=name,
            ready=len(ready),
            delayed=len(waiting) - len(ready),
            claimed=len(rows) - len(waiting),
            dead=sum(letter.queue == name for letter, _ in self._dead.values()),
            oldest=min((row.sent for row in ready), default=None),
        )

    def purge(self, queues: frozenset[str]) -> int:
        gone = [row for row in self.rows() if row.receipt is None and row.posting.queue in queues]
        for row in gone:
            self._drop(row)
        return len(gone)

    def dead(self, queue: str | None, limit: int) -> tuple[DeadLetter, ...]:
        letters = [letter for letter, _ in reversed(self._dead.values()) if queue in (None, letter.queue)]
        return tuple(sorted(letters, key=lambda letter: letter.at, reverse=True)[:limit])

    def rows_of(self, id: str) -> list[tuple[Row, str]]:
        """Each with the node that holds it."""
        rows = self._live.get(id, ())
        return [(row, "" if row.session is None else self._holding(row.session).session.node) for row in rows]

    def letter(self, id: str) -> DeadLetter | None:
        return self._dead[id][0] if id in self._dead else None

    def redrive(self, id: str, now: float) -> bool:
        parked = self._dead.pop(id, None)
        if parked is None:
            return False
        self._enter(parked[1], now)
        return True

    def bury(self, id: str) -> bool:
        return self._dead.pop(id, None) is not None

    def expire_dead(self, now: float, limit: int) -> bool:
        """Forget at most `limit` dead letters that are over; True when more is left."""
        seconds = self._options.dead_letter_expires
        if seconds is None:
            return False
        over = [key for key, (letter, _) in self._dead.items() if letter.at + seconds <= now]
        for key in over[:limit]:
            del self._dead[key]
        return len(over) > limit

    # Rows

    def rows(self) -> Iterable[Row]:
        return (row for rows in self._live.values() for row in rows)

    def _queue(self, name: str) -> QueueState:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = QueueState()
        return queue

    def _holding(self, session: SessionId) -> Holding:
        holding = self._holdings.get(session)
        if holding is None:
            raise LeaseLost(f"session {session} is not registered, or was reaped")
        return holding

    def _wait(self, row: Row, now: float) -> None:
        name = row.posting.queue
        if self._queue(name).add(row, now):
            self._bells.ring(name)

    def _let_go(self, receipt: Receipt) -> Row:
        row = self._owners.pop(receipt)
        assert row.session is not None
        self._holdings[row.session].held.pop(receipt)
        row.receipt = row.session = None
        return row

    def _drop(self, row: Row) -> None:
        row.stamp += 1
        rows = self._live[row.posting.id]
        rows.remove(row)
        if not rows:
            del self._live[row.posting.id]
