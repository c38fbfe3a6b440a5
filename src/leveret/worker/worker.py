"""One worker process's work on its I/O loop, from the first claim to the last settlement.

Time comes from the loop and the `Clock` alone, so that the same code runs in a simulation.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any

from leveret.errors import BrokerError
from leveret.logic.slot import WORKER, WorkerEvent, WorkerState, move
from leveret.logic.wire.events import EventWriter
from leveret.model.control import Tally
from leveret.model.node import Reaping
from leveret.model.options import WorkerOptions
from leveret.ports.broker import Severable
from leveret.worker.batching.dispatcher import BatchingDispatcher
from leveret.worker.chores import ChoreRunner, Sweeper
from leveret.worker.consumer import Consumer
from leveret.worker.context import WorkerHooks, WorkerParts
from leveret.worker.dispatcher import Dispatcher
from leveret.worker.logs import TaskLog
from leveret.worker.pausing.watcher import PauseWatcher
from leveret.worker.persist import Persistent
from leveret.worker.remote.respondent import Respondent
from leveret.worker.settler import Settler
from leveret.worker.telling.counter import Counter
from leveret.worker.telling.emitter import Emitter
from leveret.worker.telling.speaker import Speaker
from leveret.worker.telling.teller import Teller

log = logging.getLogger("leveret.worker")

PULSE_SECONDS = 1.0
RECONCILE_EVERY = 10
BEAT_EVERY = 5
REPORT_SECONDS = 10.0
LEAVE_SECONDS = 5.0
"""How long a stopping worker waits for a broker that does not answer; its session is reaped then."""


class Worker:
    """`run` once. The other methods are called on the same loop (`call_soon_threadsafe` from elsewhere)."""

    def __init__(
        self,
        parts: WorkerParts,
        options: WorkerOptions,
        hooks: WorkerHooks | None = None,
        tasks: TaskLog | None = None,
    ) -> None:
        self._parts, self._options, self._hooks = parts, options, hooks or WorkerHooks()
        persist = Persistent(parts.clock)
        self._settler = Settler(parts, persist)
        writer = EventWriter(parts.node.name, os.getpid(), parts.utcoffset)
        self._emitter = Emitter(parts.events, writer, parts.clock, on=options.task_events)
        self.speaker = Speaker(parts.node.name)
        self._counter = Counter(on=options.metrics)
        teller = Teller(tasks or TaskLog(parts.clock), self._emitter, self.speaker, self._counter)
        self._dispatcher = _dispatcher(parts, options, self._settler, persist, teller)
        self.terminated = self._dispatcher.limits.is_terminated
        self._consumer = Consumer(parts, options, self._dispatcher, self._settler, persist)
        self._consumer.on_registered = self._hooks.on_ready
        self._persist = persist
        self._pauses = None if parts.pauses is None else PauseWatcher(parts.pauses, self._consumer, self._dispatcher)
        self.respondent = Respondent(parts, self._dispatcher, self._consumer)
        self.respondent.steer(options.steering)
        self._state = WorkerState.NEW
        self._quieted = asyncio.Event()
        self._abandoned = asyncio.Event()
        self._deadline: float | None = None
        self._reason = ""
        self._broken: BaseException | None = None

    @property
    def session(self) -> str:
        """The present session's id; it changes when the old one was reaped."""
        return self._consumer.session.id

    @property
    def stale(self) -> int:
        """Settlements the fence refused."""
        return self._settler.stale

    async def run(self) -> None:
        """Register the session, claim until quiet, settle everything, return. Raises what broke the consumer."""
        loop = asyncio.get_running_loop()
        self._parts.executor.open(lambda: _call(loop, self._dispatcher.drain))
        background = [loop.create_task(work) for work in self._background()]
        try:
            await self._work()
            await self._stop()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
        if self._broken is not None:
            # What was held is back and settled; whoever runs us decides about a new start.
            raise self._broken
        self._hooks.on_drained(self._reason)

    def quiet(self, grace: float | None = None, reason: str = "") -> None:
        """Claim nothing more, give back what has not begun, finish what runs (within `grace` seconds), then end."""
        if self._state is WorkerState.DRAINED:
            return
        self._state = move(WORKER, self._state, WorkerEvent.QUIET)
        self._reason = self._reason or reason
        if grace is not None:
            deadline = self._parts.clock.monotonic() + grace
            self._deadline = deadline if self._deadline is None else min(deadline, self._deadline)
        # First, so that a claim that is just being answered goes straight back.
        self._consumer.quiet()
        self._dispatcher.closed = True
        self._dispatcher.retract()
        self._quieted.set()

    def send_events(self, on: bool) -> None:
        """Tell of tasks as events, or not any more."""
        self._emitter.switch(on)

    def return_unstarted(self) -> None:
        """Give back everything that has not begun; go on."""
        self._dispatcher.retract()

    def abandon(self) -> None:
        """Give everything back, what runs included, and end at once."""
        self.quiet(0.0, "stopped")
        self._abandoned.set()

    # The working life

    async def _work(self) -> None:
        quieted = asyncio.ensure_future(self._quieted.wait())
        claiming = asyncio.ensure_future(self._claim())
        expelled = asyncio.ensure_future(self._dispatcher.outcast.wait())
        try:
            await asyncio.wait((quieted, claiming, expelled), return_when=asyncio.FIRST_COMPLETED)
            if not self._quieted.is_set():
                self.quiet(reason=self._consumer.reason or self._dispatcher.expelled)
                if self._dispatcher.busy():
                    self._hooks.on_leaving(self._reason)
            # A claim under way is answered first: what it brings goes straight back.
            await asyncio.wait((claiming,), timeout=LEAVE_SECONDS)
            if claiming.done() and not claiming.cancelled():
                self._broken = claiming.exception()
        finally:
            for waiter in (quieted, claiming, expelled):
                waiter.cancel()
            await asyncio.gather(quieted, claiming, expelled, return_exceptions=True)

    async def _claim(self) -> None:
        await self._consumer.register(fresh=False)
        if self._state is WorkerState.NEW:
            self._state = move(WORKER, self._state, WorkerEvent.REGISTER)
        if self._pauses is not None:
            await self._pauses.look(self._persist)
        await self._consumer.run()

    def _background(self) -> list[Coroutine[Any, Any, None]]:
        work = [self._settler.run(), self._pulse(), self._reconcile(), self._emitter.run()]
        if self._parts.gate is not None:
            work.append(self._dispatcher.gatekeeper.exits.run())
        if self._parts.chores is not None:
            work.append(ChoreRunner(self._parts.chores, self._parts.clock).run())
        if self._pauses is not None:
            work.append(self._pauses.run())
        if self._parts.outbox is not None:
            work.append(Sweeper(self._parts.outbox, self._parts.broker, self._parts.clock).run())
        if self._parts.severable is not None:
            work.append(self._mourn(self._parts.severable))
        return work

    async def _mourn(self, severable: Severable) -> None:
        """A lost connection took back all it had handed over: nothing of it may begin here any more. A new one is made
        now, not when the next slot is idle."""
        while True:
            await severable.severed()
            self._dispatcher.lose()
            if self._state is WorkerState.CLAIMING:
                await self._consumer.reconcile()

    async def _pulse(self) -> None:
        """Every second: show that the loop lives; less often: beat where nobody else does. It waits for no broker: a
        pulse that did would have a healthy process replaced in an outage."""
        page, turn, told = self._parts.page, 0, Tally(0, 0)
        while True:
            if page is not None:
                page.beat(self._settler.unsettled_since)
                # The supervisor may have lifted its hold.
                self._dispatcher.changed.set()
            tally = self._tally(len(self._dispatcher.names()))
            if tally != told:
                told = tally
                self._hooks.on_tally(tally)
            if self._parts.keeps_lease and turn % BEAT_EVERY == 0 and self._state is not WorkerState.NEW:
                await self._beat()
            await asyncio.sleep(PULSE_SECONDS)
            turn += 1

    def _tally(self, active: int) -> Tally:
        return Tally(active, self._dispatcher.ended, self._counter.total(), dict(self._dispatcher.intake.beats))

    async def _reconcile(self) -> None:
        while True:
            await asyncio.sleep(RECONCILE_EVERY * PULSE_SECONDS)
            if self._state is WorkerState.CLAIMING:
                await self._consumer.reconcile()

    async def _beat(self) -> None:
        try:
            pulse = await self._parts.leases.beat(self._parts.node)
        except BrokerError as error:
            log.warning("the lease could not be renewed: %s", error)
            return
        if pulse.revived:
            await self._consumer.register(fresh=False)

    # The stop

    async def _stop(self) -> None:
        """Order: what runs ends, then everything is settled, then the session goes; others take over from there."""
        await self._running_ended()
        if self._dispatcher.busy():
            log.warning("stopped while these ran, they go back: %s", ", ".join(self._dispatcher.names()))
            self._dispatcher.abandon()
        await self._settled()
        self._hooks.on_tally(self._tally(0))
        self._state = move(WORKER, self._state, WorkerEvent.EMPTY)
        self._parts.executor.close()

    async def _settled(self) -> None:
        """Without a deadline a broker's outage is waited out: only a second interrupt gives outcomes up."""
        leaving = asyncio.ensure_future(self._leave())
        abandoned = asyncio.ensure_future(self._abandoned.wait())
        try:
            if self._deadline is None:
                await asyncio.wait((leaving, abandoned), return_when=asyncio.FIRST_COMPLETED)
            done, _ = await asyncio.wait((leaving,), timeout=LEAVE_SECONDS)
            if not done:
                log.warning("the broker does not answer: what is unsettled will be handed over again")
        finally:
            for waiter in (leaving, abandoned):
                waiter.cancel()
            await asyncio.gather(leaving, abandoned, return_exceptions=True)

    async def _running_ended(self) -> None:
        clock, changed = self._parts.clock, self._dispatcher.changed
        report = clock.monotonic() + REPORT_SECONDS
        abandoned = asyncio.ensure_future(self._abandoned.wait())
        try:
            while self._dispatcher.busy() and not self._abandoned.is_set():
                now = clock.monotonic()
                if self._deadline is not None and now >= self._deadline:
                    return
                if now >= report:
                    report += REPORT_SECONDS
                    self._report()
                until = report if self._deadline is None else min(report, self._deadline)
                changed.clear()
                waiter = asyncio.ensure_future(changed.wait())
                await asyncio.wait(
                    (waiter, abandoned), timeout=max(0.0, until - now), return_when=asyncio.FIRST_COMPLETED
                )
                waiter.cancel()
        finally:
            abandoned.cancel()

    def _report(self) -> None:
        running = self._dispatcher.names()
        self._hooks.on_waiting(running)
        # Under a supervisor one line of its own speaks for all its processes.
        level = logging.WARNING if self._parts.keeps_lease else logging.DEBUG
        log.log(
            level,
            "still waiting for %s; --soft-shutdown-timeout or a task's time_limit ends the wait, "
            "a second interrupt stops at once",
            ", ".join(running) or "what is being started",
        )

    async def _leave(self) -> None:
        parts, session = self._parts, self._consumer.session
        await self._settler.flushed()
        await self._dispatcher.gatekeeper.exits.flushed()
        await self._emitter.flush()
        try:
            if parts.keeps_lease:
                await parts.leases.leave(parts.node)
            else:
                await parts.leases.reap((Reaping(session=session.id),))
        except BrokerError as error:
            log.warning("could not leave in order: %s", error)


def _dispatcher(
    parts: WorkerParts, options: WorkerOptions, settler: Settler, persist: Persistent, teller: Teller
) -> Dispatcher:
    if parts.batches:
        return BatchingDispatcher(parts, options, settler, persist, teller, alone=options.quarantine)
    return Dispatcher(parts, options, settler, persist, teller)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Thread-safe; a loop that has ended has nothing to do any more."""
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        log.debug("an outcome came after the loop had ended")
