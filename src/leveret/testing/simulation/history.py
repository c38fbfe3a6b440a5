"""What really happened in one run, written down at the server and at the slots, and what must not have happened."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

from leveret.model.delivery import Delivery, Posting, Receipt, SessionId
from leveret.model.options import CHARGES_TO_PARK
from leveret.model.outcome import Failed, Finished, Ignored, Rejected, Succeeded
from leveret.model.settlement import Joined, Record
from leveret.model.state import FAILURE, RETRY, REVOKED, SUCCESS
from leveret.ports.executor import Job
from leveret.testing.clock import SimClock
from leveret.testing.simulation.work import EARLY, JOIN_SIZE, Work, followers


@dataclass(frozen=True, slots=True)
class HandOver:
    order: int
    at: float
    id: str
    attempt: int
    key: tuple[str, int, str]
    charges: int


class History:
    """Facts in, violations out. `order` numbers the facts, so that "before" means before at the server."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._events: list[tuple[object, ...]] = []
        self.violations: list[str] = []
        self.entered_ids: Counter[tuple[str, int, str]] = Counter()
        self.ignored: set[str] = set()
        """Ids that leave no trace when they end: nothing stored, nothing derived."""
        self._hand_overs: dict[Receipt, HandOver] = {}
        self._latest: dict[tuple[str, int, str], Receipt] = {}
        self._stored: dict[str, list[tuple[int, Record]]] = {}
        self.terminal: dict[str, Record] = {}
        self.completed: set[str] = set()
        self.refused = 0
        self.runs: Counter[tuple[str, int]] = Counter()
        self.guilty: set[tuple[str, str]] = set()
        """(session, id): what ran when the session's process died."""
        self.quarantines: set[SessionId] = set()
        self.convicted: set[str] = set()
        """Ids that were near three deaths, each laid to them by the rules."""

    # Facts

    def note(self, *facts: object) -> int:
        self._events.append((round(self._clock.elapsed, 6), *facts))
        return len(self._events)

    def entered(self, posting: Posting) -> None:
        """A message was let into its queue."""
        self.note("entered", posting.id, posting.attempt)
        key = (posting.id, posting.attempt, posting.queue)
        self.entered_ids[key] += 1
        ended = self.terminal.get(posting.id)
        # A revocation stops nothing at the door: it is whoever claims the message that ends it, once more if need be.
        revoked = ended is not None and ended.state == REVOKED
        if self.entered_ids[key] > 1 and not revoked and not (posting.id in self.ignored and posting.attempt == 0):
            self._violated("published twice", posting.id, f"attempt {posting.attempt} entered its queue again")

    def handed(self, posting: Posting, delivery: Delivery, session: SessionId) -> None:
        key = (posting.id, posting.attempt, posting.queue)
        order = self.note("handed", posting.id, posting.attempt, delivery.receipt, delivery.count)
        now = self._clock.now()
        self._hand_overs[delivery.receipt] = HandOver(
            order, now, posting.id, posting.attempt, key, len(delivery.charges)
        )
        self._latest[key] = delivery.receipt
        if posting.not_before is not None and now < posting.not_before:
            self._violated("early", posting.id, f"handed over {posting.not_before - now:.3f} s before its time")
        if len(delivery.charges) >= CHARGES_TO_PARK:
            self.convicted.add(posting.id)
        for charge in delivery.charges:
            known = (charge.session, posting.id) in self.guilty or charge.session in self.quarantines
            if not known:
                self._violated("innocent charged", posting.id, charge.reason)

    def settled(self, receipt: Receipt, how: str) -> None:
        """The server took a receipt as good."""
        self.note("settled", receipt, how)
        hand_over = self._hand_overs.get(receipt)
        if hand_over is None:
            self._violated("stale accepted", receipt, "a receipt that was never given")
        elif self._latest[hand_over.key] != receipt:
            self._violated("stale accepted", hand_over.id, f"{how} by {receipt} after it was handed to another")

    def stored(self, record: Record) -> None:
        order = self.note("stored", record.id, record.attempt, record.state)
        self._stored.setdefault(record.id, []).append((order, record))
        if record.terminal:
            if record.id in self.terminal:
                self._violated("second terminal", record.id, f"{self.terminal[record.id].state}, then {record.state}")
            self.terminal[record.id] = record

    def joined(self, joined: Joined) -> None:
        if not joined.complete:
            return
        expected = tuple(b'"value of seat-%d"' % n for n in range(JOIN_SIZE))
        if joined.values != expected:
            self._violated("wrong join", joined.join, f"complete with {joined.values}")

    def started(self, job: Job, place: str) -> None:
        message, hand_over = job.message, self._hand_overs.get(job.receipt)
        self.note("started", message.id, message.attempt, place)
        self.runs[message.id, message.attempt] += 1
        if hand_over is None:
            self._violated("unknown receipt", message.id, "a run without a hand-over")
            return
        if hand_over.charges >= CHARGES_TO_PARK:
            self._violated("convict run", message.id, f"{hand_over.charges} processes died of it before")
        if message.task == EARLY and self.runs[message.id, 0] > self.entered_ids[hand_over.key]:
            self._violated("ran twice", message.id, "at most once was asked for")
        if message.expires is not None and hand_over.at >= message.expires:
            self._violated("expired run", message.id, f"handed over {hand_over.at - message.expires:.3f} s too late")
        for order, record in self._stored.get(message.id, ()):
            ended = record.terminal or (record.state == RETRY and record.attempt >= message.attempt)
            if ended and order < hand_over.order:
                self._violated(
                    "run after outcome", message.id, f"{record.state} of attempt {record.attempt} was stored"
                )

    def finished(self, job: Job, finished: Finished) -> None:
        outcome = finished.outcome
        self.note("finished", job.message.id, job.message.attempt, type(outcome).__name__)
        if isinstance(outcome, Succeeded | Failed | Ignored | Rejected):
            self.completed.add(job.message.id)

    # The end

    def check(self, works: Iterable[Work], waiting: Iterable[str]) -> None:
        """Look back: nothing lost, nothing ended wrongly, nothing left over."""
        for name in waiting:
            self._violated("liveness", name, "still waits or is held")
        for work in works:
            excused = work.may_vanish or (work.id in self.ignored and work.id in self.completed)
            self._check_end(work.id, work.state, excused, expires=work.lifetime is not None)
            record = self.terminal.get(work.id)
            if record is not None:
                for name, ignored in followers(work, record.state):
                    # The next step of a chain follows only a step that ended.
                    self._check_end(name, None, False, follower=ignored)

    def digest(self) -> str:
        return blake2b(repr(self._events).encode(), digest_size=8).hexdigest()

    def events(self) -> list[tuple[object, ...]]:
        return self._events

    def _check_end(
        self, name: str, state: str | None, excused: bool, *, expires: bool = False, follower: bool = False
    ) -> None:
        record = self.terminal.get(name)
        if record is None:
            if not excused:
                self._violated("lost", name, "no outcome")
            return
        accepted = {state or SUCCESS}
        if name in self.convicted:
            accepted.add(FAILURE)
        if expires:
            accepted.add(REVOKED)
        if record.state not in accepted:
            self._violated("wrong outcome", name, f"{record.state}, expected {' or '.join(sorted(accepted))}")

    def _violated(self, kind: str, name: str, what: str) -> None:
        self.violations.append(f"{kind}: {name}: {what}")
        self.note("violation", kind, name)
