"""Between the broker and the slots: decodes, admits and starts deliveries, concludes what has ended."""

import asyncio
import logging
from collections.abc import Callable, Iterable

import msgspec

from leveret.logic.claiming.appetite import Appetite
from leveret.logic.credit import RETRACT_SECONDS, Credit
from leveret.model.delivery import Delivery, Posting, Receipt, Return, Verdict
from leveret.model.options import WorkerOptions
from leveret.model.outcome import Finished, Outcome, Retried, Succeeded, Unstarted
from leveret.model.settlement import Commitment
from leveret.ports.executor import Job
from leveret.worker.commitments import concluded, sent_again, witness
from leveret.worker.context import WorkerParts
from leveret.worker.intake import Early, Intake
from leveret.worker.limiting.gatekeeper import Gatekeeper
from leveret.worker.limiting.starter import Starter
from leveret.worker.limits import Limits, too_long
from leveret.worker.persist import Persistent
from leveret.worker.settler import Settler
from leveret.worker.telling.teller import Teller

log = logging.getLogger("leveret.worker")

MOST_AT_ONCE = 500
"""Deliveries in one claim, whatever many slots together might hold: the slots share one process and one transaction."""


class Dispatcher:
    """Owned by the I/O loop. Every delivery it accepted is queued here, started, or with the settler."""

    def __init__(
        self, parts: WorkerParts, options: WorkerOptions, settler: Settler, persist: Persistent, teller: Teller
    ) -> None:
        self._parts, self._settler, self._persist, self._teller = parts, settler, persist, teller
        teller.emitter.running = self.running
        self._clock, self._executor, self._rules = parts.clock, parts.executor, parts.rules
        # What a quarantine child holds when it dies is convicted: it never holds more than what it runs.
        self._credit = Credit(1 if options.quarantine else options.prefetch_multiplier)
        self.appetite = Appetite(0) if options.quarantine else Appetite()
        self.limits = Limits(options=options, executor=parts.executor, exceeded=self._exceeded)
        self.gatekeeper = Gatekeeper(parts, options.processes, settler, persist, teller)
        self.intake = Intake(parts, settler, persist, teller, self.gatekeeper)
        self._early = Early(parts, settler, persist)
        self.starter = Starter(self, parts.executor, self.gatekeeper, self._early, self._credit)
        self.under_way = 0
        """Jobs with the executor."""
        self.gathered: Callable[[], list[Job]] = list
        """What waits for company (calls of batch tasks)."""
        self.hurry: Callable[[], None] = lambda: None
        """Nothing more will come: none of that is to wait longer."""
        self._dropped: set[Receipt] = set()
        """Concluded or given back while they ran; their late outcomes mean nothing."""
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False
        """Start nothing more; what is accepted goes straight back."""
        self.ended = 0
        """Runs that ended here."""
        self.changed = asyncio.Event()
        """Set whenever capacity may have appeared or the last run ended."""
        settler.on_room = self.changed.set
        self.expelled = ""
        """Why this process must be replaced: a job it cannot stop."""
        self.outcast = asyncio.Event()

    # What the consumer and the worker ask

    def credit(self) -> int:
        """How many deliveries to claim now; 0 while anything is unstarted, no slot is idle, or outcomes pile up."""
        page = self._parts.page
        if self.starter.busy() or self._settler.crowded() or (page is not None and page.hold):
            return 0
        if self.gatekeeper.exits.crowded():
            return 0
        idle = self._executor.idle()
        return self.appetite.wanted(min(idle * self._credit.per_slot, max(idle, MOST_AT_ONCE)))

    def idle(self) -> int:
        """Slots that run nothing and have nothing queued."""
        return self._executor.idle()

    def busy(self) -> bool:
        """Whether anything is unstarted or runs."""
        return bool(self.under_way) or self.starter.busy()

    def rest(self) -> None:
        self._credit.rest()
        self.appetite.rest()

    def names(self) -> tuple[str, ...]:
        """`name[id]` of what runs."""
        return tuple(f"{job.message.task}[{job.message.id}]" for job, _ in self.running())

    # Deliveries in

    async def accept(self, deliveries: tuple[Delivery, ...], fresh: frozenset[str] = frozenset()) -> None:
        """Take over a claim's deliveries: each is started, settled without a run, or given back."""
        jobs = await self.intake.take(deliveries, fresh)
        self.appetite.took(len(deliveries), self._queue(jobs) if jobs else 0)

    def _queue(self, jobs: list[Job]) -> int:
        """Answers how many of them need a slot now."""
        if self.closed:
            self.give_back(jobs)
            return len(jobs)
        self._credit.begin({job.message.task for job in jobs if not job.definition.limited})
        self.gatekeeper.received(jobs, asked=False)
        self.starter.add(jobs)
        return len(jobs)

    # Starting

    def start(self, jobs: tuple[Job, ...]) -> None:
        self.under_way += len(jobs)
        self._executor.start(jobs)
        if self._timer is None:
            self._arm(RETRACT_SECONDS)

    # Outcomes out

    def drain(self) -> None:
        """Conclude what has ended. Called through the executor's wake-up, once per batch."""
        ended = self._executor.finished()
        if ended:
            self._conclude(ended)
            self.starter.pump()
            self.changed.set()

    def _conclude(self, ended: Iterable[tuple[Job, Finished]]) -> None:
        now, rules = self._clock.now(), self._rules
        out: list[Commitment] = []
        for job, finished in ended:
            if self._dropped and job.receipt in self._dropped:
                self._dropped.discard(job.receipt)
                continue
            self.under_way -= 1
            outcome = finished.outcome
            if type(outcome) is Unstarted:
                self.give_back(self._early.owed([job]))
                continue
            if type(outcome) is not Succeeded:
                outcome = self.limits.named(job, outcome)
                finished = msgspec.structs.replace(finished, outcome=outcome)
            if job.definition.limited or job.message.attempt or self.gatekeeper.retried or type(outcome) is Retried:
                self.gatekeeper.ended(job, finished)
            self.ended += 1
            self._credit.ran(job.message.task, finished.runtime)
            self._teller.ended(job, finished)
            commitment = concluded(job, finished, rules, now, self._teller.broke)
            if job.definition.acks_late:
                out.append(commitment)
            else:
                self._settler.add_acked(*_of_acked(job, commitment, self._parts, now))
        if out:
            self._settler.add(out)
        self._teller.flush()
        self._credit.end_round(self._executor.slots, all_ended=not self.under_way)

    # Taking back

    def retract(self) -> None:
        """Give back everything that has not begun."""
        self.give_back(self._take_back())

    def lose(self) -> None:
        """The session was reaped: what has not begun belongs to others; what runs goes on."""
        unstarted = self._take_back()
        self.gatekeeper.lost(unstarted)
        self._settler.forget()
        if self._parts.severable is not None:
            # It keeps account of what goes on of a lost connection: this does not.
            self._settler.give_back([Return(receipt=job.receipt) for job in unstarted])
        self.changed.set()

    def abandon(self) -> None:
        """Give back everything, what runs included; its late outcomes are dropped."""
        self.retract()
        running = self.running()
        self._dropped.update(job.receipt for job, _ in running)
        self.gatekeeper.returned([job for job, _ in running])
        self.under_way = 0
        late = [Return(receipt=job.receipt, counted=True) for job, _ in running if job.definition.acks_late]
        if late:
            self._settler.give_back(late)
        self.changed.set()

    def _take_back(self) -> list[Job]:
        started = self._executor.retract()
        self.under_way -= len(started)
        return self._early.owed([*started, *self.starter.take_back()])

    def give_back(self, jobs: list[Job]) -> None:
        if jobs:
            self.gatekeeper.returned(jobs)
            self._settler.give_back([Return(receipt=job.receipt) for job in jobs])
            self.changed.set()

    # Watching what runs

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._watch)

    def _watch(self) -> None:
        self._timer = None
        self.drain()
        if not self.under_way:
            return
        running, now = self.running(), self._clock.monotonic()
        wait = self.limits.check(running, now)
        if len(running) < self.under_way or self.starter.waiting:
            left = RETRACT_SECONDS - max((now - since for _, since in running), default=0.0)
            if left <= 0:
                self.retract()
            else:
                wait = left if wait is None else min(wait, left)
        if self.under_way and wait is not None and self._timer is None:
            self._arm(max(wait, 0.001))

    def running(self) -> tuple[tuple[Job, float], ...]:
        running = self._executor.running()
        if self._dropped:
            running = tuple(entry for entry in running if entry[0].receipt not in self._dropped)
        return running

    def _exceeded(self, job: Job, since: float, limit: float) -> None:
        log.error("Hard time limit (%ss) exceeded for %s[%s]", limit, job.message.task, job.message.id)
        failed = too_long(limit)
        self.expel(job, since, failed, "hard time limit")
        self._teller.overran(job, failed, limit)

    def expel(self, job: Job, since: float, outcome: Outcome, reason: str) -> None:
        """Conclude a job that runs on, and have the process replaced: nothing that runs beside it is touched."""
        runtime = self._clock.monotonic() - since
        now = self._clock.now()
        self._conclude([(job, Finished(outcome, now - runtime, runtime))])
        self._dropped.add(job.receipt)
        self.expelled = reason
        self.outcast.set()
        self.closed = True
        self.retract()
        self.changed.set()


def _of_acked(job: Job, commitment: Commitment, parts: WorkerParts, now: float) -> tuple[Commitment, Posting | None]:
    """What settles a delivery that was acknowledged before its run, and what does so again if this process dies."""
    codec = parts.rules.codec
    if commitment.verdict is Verdict.RELEASE:
        return sent_again(job, codec, now + commitment.delay), None
    return commitment, witness(job, commitment, codec) if parts.outbox is not None else None
