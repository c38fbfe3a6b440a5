"""Between admission and start: what is limited is asked of the gate, in batches; who may not start goes back to the
broker with a time. What passed is remembered until it is over and settled, and then taken off the gate's list."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, assert_never

from msgspec.structs import replace

from leveret.errors import ImproperlyConfigured, LeaseLost
from leveret.logic.credit import MOST, Credit
from leveret.logic.delivery import superseded
from leveret.logic.results import error_info
from leveret.model.delivery import Receipt, Return, SessionId, Verdict
from leveret.model.limiting.gate import (
    Answer,
    Bound,
    Entry,
    Exit,
    Open,
    Passed,
    RateBound,
    SlotBound,
    Superseded,
    Wait,
)
from leveret.model.message import Message
from leveret.model.outcome import Failed, Finished, Retried, Succeeded
from leveret.model.settlement import Commitment
from leveret.model.task import TaskDefinition
from leveret.ports.executor import Job
from leveret.worker.commitments import concluded, skipped
from leveret.worker.context import WorkerParts
from leveret.worker.limiting.exits import Exits, Leaving, exit_of
from leveret.worker.limiting.rules import TaskRules
from leveret.worker.persist import Persistent
from leveret.worker.settler import Settler
from leveret.worker.telling.teller import Teller

log = logging.getLogger("leveret.worker")

AHEAD = 16
"""A process takes slots of a concurrency for what it cannot start at once, so that short tasks need not ask one by
one: this part of them at most, for others run on the slots that it only keeps."""
AT_A_BREAKER = 10
"""Of runs that a breaker guards so many are let in at once: those after them hear what became of these. While it lets
nobody in there is nothing to be careful of."""
_WITHOUT_LIMIT = 1 << 30


class Lost:
    """The answer of a job whose session was reaped while it was asked about."""


LOST = Lost()


class Holding(NamedTuple):
    """What one run holds."""

    session: SessionId
    entry: Entry


class Gatekeeper:
    """Owned by the I/O loop."""

    def __init__(
        self, parts: WorkerParts, processes: int, settler: Settler, persist: Persistent, teller: Teller
    ) -> None:
        self._parts, self._settler, self._persist, self._teller = parts, settler, persist, teller
        self._gate, self._clock = parts.gate, parts.clock
        self.rules = TaskRules(parts.node.name, processes, kept=parts.rate_limits)
        self.exits = Exits(parts.gate, parts.clock, persist, parts.session.id)
        settler.on_settled = self._settled
        self.session = parts.session.id
        self._holdings: dict[Receipt, Holding] = {}
        """Of what has passed and is not over."""
        self._over: dict[Receipt, Leaving] = {}
        """Told when the delivery is settled: whoever comes next must find its outcome."""
        self.retried: set[str] = set()
        """Tasks of which a retry was seen here: their successes are counted. Without a gate none is."""
        self._shut: set[str] = set()
        """Tasks of which nobody was let in when it was asked last, for their breaker."""
        self._renewed = False
        """A session was lost: what ran then may run a second time beside itself, under the same id."""

    # Before a run

    def asks(self, job: Job) -> bool:
        """Whether something stands between this job and its start."""
        definition = job.definition
        if definition.limited or (self.rules.steered and job.message.task in self.rules.steered):
            return True
        return job.message.attempt > 0 and definition.retry_budget is not None and self._gate is not None

    def ahead(self, job: Job, idle: int) -> int:
        """How many jobs in a row, this one first, may be asked about while so many slots are idle."""
        slots = self.rules.of(job.definition).slots
        most = _WITHOUT_LIMIT if slots is None else slots // AHEAD
        if job.definition.breaker is not None and job.message.task not in self._shut:
            most = min(most, AT_A_BREAKER)
        return max(idle, most)

    async def let_in(self, jobs: tuple[Job, ...], credit: Credit) -> tuple[Job, ...]:
        """As `admit`. Where nobody passes of those that are asked in bulk, more may be claimed at once."""
        in_bulk = self.ahead(jobs[0], 1) >= MOST
        passed = await self.admit(jobs)
        if passed or in_bulk:
            credit.let_in({job.message.task for job in passed})
        return passed

    async def admit(self, jobs: tuple[Job, ...]) -> tuple[Job, ...]:
        """Ask; answer those that may begin, in order. The others are settled, or wait in the broker."""
        entries: dict[Receipt, Entry] = {}
        answers: dict[Receipt, Answer | None] = {}
        for job in jobs:
            message = job.message
            try:
                bounds = self.rules.of(job.definition).of(message) if self.asks(job) else ()
            except ImproperlyConfigured as error:
                self._fail(job, error)
                continue
            if not bounds:
                answers[job.receipt] = None
            elif self._gate is None:
                answers[job.receipt] = self._alone(bounds)
            else:
                entries[job.receipt] = Entry(id=message.id, attempt=message.attempt, bounds=bounds, task=message.task)
        if entries:
            answers |= await self._enter(entries)
        passed = self._sorted(jobs, answers, entries)
        self.received(passed, asked=True)
        return passed

    def received(self, jobs: Sequence[Job], *, asked: bool) -> None:
        """Tell of those that are asked, or of the others: what the gate may send back is not received before it has
        passed."""
        if self._teller.hears():
            self._teller.received([job for job in jobs if self.asks(job) is asked])

    async def _enter(self, entries: dict[Receipt, Entry]) -> dict[Receipt, Answer]:
        """What was lost meanwhile has no answer."""
        gate, session = self._gate, self.session
        assert gate is not None
        asked = tuple(entries.values())
        answers: dict[Receipt, Answer] = {}
        try:
            told = await self._persist("ask for limits", lambda: gate.enter(session, asked))
        except LeaseLost as error:
            # The consumer is about to hear of it too. Where messages are not the session's they are still ours.
            log.debug("session lost before %d runs were let in: %s", len(asked), error)
            self._settler.give_back([Return(receipt=receipt) for receipt in entries])
            return answers
        held, holdings = self._settler.held, self._holdings
        for (receipt, entry), answer in zip(entries.items(), told, strict=True):
            if receipt not in held:
                # The session was reaped while it asked: the message is somebody else's.
                self.exits.add(Leaving(session, exit_of(entry)))
                continue
            answers[receipt] = answer
            if type(answer) is Passed:
                if self.rules.holds(entry.bounds):
                    holdings[receipt] = Holding(session, entry)
                if entry.attempt:
                    self.retried.add(entry.task)
                if self._shut:
                    self._shut.discard(entry.task)
            elif type(answer) is Open:
                self._shut.add(entry.task)
        return answers

    def _alone(self, bounds: tuple[Bound, ...]) -> Wait | None:
        """Without a gate: `rate_limit`, of which this process has its share."""
        for bound in bounds:
            if isinstance(bound, RateBound):
                wait = self.rules.share(bound).take(self._clock.monotonic())
                return Wait(wait, "rate", bound.key) if wait > 0 else None
        return None

    def _sorted(
        self, jobs: tuple[Job, ...], answers: dict[Receipt, Answer | None], entries: dict[Receipt, Entry]
    ) -> tuple[Job, ...]:
        passed: list[Job] = []
        waiting: list[Commitment] = []
        for job in jobs:
            answer = answers.get(job.receipt, LOST)
            if answer is None or type(answer) is Passed:
                passed.append(job)
                continue
            match answer:
                case Passed() | Lost():
                    continue
                case Open() if job.definition.fallback is not None:
                    log.info("Task %s runs its fallback: its breaker is open", _named(job))
                    # It stands in the line of those that wait for the breaker until it leaves.
                    self._holdings[job.receipt] = Holding(self.session, entries[job.receipt])
                    passed.append(replace(job, definition=self.rules.fallback(job.definition)))
                case Wait(seconds, bound, key):
                    waiting.append(self._waits(job, seconds, bound, key))
                case Open(seconds, key):
                    waiting.append(self._waits(job, seconds, "breaker", key))
                case Superseded(by):
                    self._supersede(job, by)
                case other:
                    assert_never(other)
        if waiting:
            self._settler.add_unrun(waiting)
        return tuple(passed)

    def _waits(self, job: Job, seconds: float, bound: str, key: str) -> Commitment:
        log.debug("Task %s waits in the broker, %s %r, for %.3f s", _named(job), bound, key, seconds)
        return Commitment(receipt=job.receipt, verdict=Verdict.RELEASE, delay=max(0.0, seconds), counted=False)

    def _supersede(self, job: Job, by: str) -> None:
        rules, now = self._parts.rules, self._clock.now()
        settlement = superseded(job.message, by, job.definition, rules, now)
        log.info("Task %s ends without a run: %s has its unique key", _named(job), by)
        self._teller.skipped(job.message, settlement, job.definition, now)
        self._settler.add_unrun([skipped(settlement, job.receipt, job.message, rules.codec)])

    def _fail(self, job: Job, error: Exception) -> None:
        """Nobody can tell which limit holds for it."""
        now = self._clock.now()
        finished = Finished(Failed(error_info(error, f"{type(error).__name__}: {error}")), now, 0.0)
        self._teller.ended(job, finished)
        self._settler.add_unrun([concluded(job, finished, self._parts.rules, now)])
        self._teller.flush()

    # After it

    def ended(self, job: Job, finished: Finished) -> None:
        """A run is over; the gate is told when its delivery is settled."""
        outcome, message, definition = finished.outcome, job.message, job.definition
        if self._gate is None:
            return
        if definition.retry_budget is not None:
            if type(outcome) is Retried:
                self.retried.add(message.task)
            elif type(outcome) is Succeeded and message.task in self.retried:
                self.exits.succeeded(message.task)
        holding = self._holdings.pop(job.receipt, None)
        if holding is not None and not self._runs_again(holding):
            fell_back = definition.fallback is not None and self.rules.is_fallback(definition)
            left = exit_of(holding.entry, finished, says=not fell_back)
            self._over[job.receipt] = Leaving(holding.session, left)

    def _runs_again(self, ended: Holding) -> bool:
        """Whether the same id goes on here, and holds what it held."""
        return self._renewed and any(one.entry.id == ended.entry.id for one in self._holdings.values())

    def returned(self, jobs: Iterable[Job]) -> None:
        """They go back to the broker, begun or not."""
        for job in jobs:
            holding = self._holdings.pop(job.receipt, None)
            if holding is not None and not self._runs_again(holding):
                self._over[job.receipt] = Leaving(holding.session, exit_of(holding.entry))

    def lost(self, jobs: Iterable[Job]) -> None:
        """The session was reaped: nobody settles any more what has not begun, nor what was on its way back."""
        self.returned(jobs)
        over, self._over = self._over, {}
        self.exits.add(*over.values())

    def skipped(self, receipt: Receipt, message: Message, definition: TaskDefinition) -> None:
        """It has ended without a run, or had before: what it may hold of an earlier run, or of its sending."""
        if self._gate is not None and (bounds := self.rules.of(definition).kept(message)):
            gone = Exit(id=message.id, bounds=bounds, outcome="none")
            self._over[receipt] = Leaving(self.session, gone, taken_over=True)

    def _settled(self, receipts: Sequence[Receipt]) -> None:
        if self._over:
            for receipt in receipts:
                over = self._over.pop(receipt, None)
                if over is not None:
                    self.exits.add(over)

    async def renew(self, session: SessionId) -> None:
        """The session has another id from now on: what runs on holds its slots under that."""
        self.session = self.exits.session = session
        self._renewed = True
        gate = self._gate
        running = [(receipt, entry) for receipt, one in self._holdings.items() if (entry := _slots_of(one.entry))]
        if not running or gate is None:
            return
        entries = tuple(entry for _, entry in running)
        try:
            answers = await self._persist("ask for limits", lambda: gate.enter(session, entries))
        except LeaseLost:
            return
        for (receipt, _), answer in zip(running, answers, strict=True):
            # Else the slot is another's by now: this run is one more than may be (guarantees.md).
            if type(answer) is Passed and (holding := self._holdings.get(receipt)) is not None:
                self._holdings[receipt] = Holding(session, holding.entry)


def _slots_of(entry: Entry) -> Entry | None:
    slots = tuple(bound for bound in entry.bounds if isinstance(bound, SlotBound))
    changes: dict[str, Any] = {"bounds": slots}
    return replace(entry, **changes) if slots else None


def _named(job: Job) -> str:
    return f"{job.message.task}[{job.message.id}]"
