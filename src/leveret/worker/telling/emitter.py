"""Task events of one worker process: written when somebody watches, sent in batches, dropped rather than waited for."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from leveret.errors import LeveretError
from leveret.logic.wire.events import EventWriter, together
from leveret.model.delivery import Receipt, Verdict
from leveret.model.message import Message
from leveret.model.outcome import Finished, Unstarted
from leveret.model.settlement import Settlement
from leveret.model.state import FAILURE, REVOKED
from leveret.model.telling.event import TaskEvent
from leveret.ports.clock import Clock
from leveret.ports.executor import Job
from leveret.ports.operations.events import EventBus

log = logging.getLogger("leveret.worker")

FLUSH_SECONDS = 0.05
"""How long an event may wait for others to travel with."""
LOOK_SECONDS = 0.1
"""How often it is looked what has begun to run and has not ended: a slot tells nobody when it begins."""
FULL = 300
"""Events that are sent at once, however young."""
SEND_SECONDS = 5.0
MOST_KEPT = 10_000
"""Events that wait for a broker which does not take them; more are dropped."""


class Emitter:
    """Owned by the I/O loop. Whoever has something to tell looks at `on` first."""

    def __init__(self, bus: EventBus | None, writer: EventWriter, clock: Clock, *, on: bool) -> None:
        self._bus, self._writer, self._clock = bus, writer, clock
        self.on = on and bus is not None
        self._events: list[TaskEvent] = []
        self._begun: set[Receipt] = set()
        """What runs and was announced."""
        self._wanted, self._full = asyncio.Event(), asyncio.Event()
        self._failing = False
        self.dropped = 0
        self.running: Callable[[], tuple[tuple[Job, float], ...]] = lambda: ()
        """What runs now and since when, on the monotonic clock; set by whoever knows."""

    def switch(self, on: bool) -> None:
        """Tell, or tell nothing any more."""
        self.on = on and self._bus is not None
        if not self.on:
            self._events.clear()
            self._begun.clear()

    # What is told

    def received(self, jobs: Iterable[Job]) -> None:
        self._add(self._writer.received([job.message for job in jobs], self._clock.now()))

    def ended(self, job: Job, finished: Finished) -> None:
        """One run; that it began is told now, unless it has been."""
        if type(finished.outcome) is Unstarted:
            return
        begun = job.receipt in self._begun
        if begun:
            self._begun.discard(job.receipt)
        events = self._events
        if len(events) < MOST_KEPT:
            self._writer.run(job.message, finished, begun, events)
            self._wanted.set()
            if len(events) >= FULL:
                self._full.set()
        else:
            self.dropped += 1

    def skipped(self, message: Message, settlement: Settlement) -> None:
        """A delivery that ended without a run."""
        now, record = self._clock.now(), settlement.record
        if record is not None and record.state == REVOKED:
            expired = message.expires is not None and now >= message.expires
            # What it was is told first, which Celery does not: a monitor that shows a task should know its name.
            self._add([*self._writer.received((message,), now), self._writer.revoked(message, now, expired=expired)])
        elif settlement.verdict is Verdict.REJECT and (record is None or record.state != FAILURE):
            self._add([self._writer.rejected(message.id, now)])
        elif settlement.verdict is Verdict.REJECT:
            self._add([*self._writer.received((message,), now), self._writer.lost(message, settlement.reason, now)])

    def _add(self, events: list[TaskEvent]) -> None:
        room = MOST_KEPT - len(self._events)
        if len(events) > room:
            self.dropped += len(events) - room
            del events[room:]
        self._events += events
        self._wanted.set()

    # Sending

    async def run(self) -> None:
        """Send until cancelled. While something runs that was not announced it is looked for."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._fill(FLUSH_SECONDS)
            while self.on and self._announce():
                await self.flush()
                await self._fill(LOOK_SECONDS)
            await self.flush()

    async def _fill(self, seconds: float) -> None:
        """Wait for others to travel with."""
        self._full.clear()
        if len(self._events) < FULL:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._full.wait()

    async def flush(self) -> None:
        """Send what there is; what the broker does not take within a while is dropped."""
        events, self._events = self._events, []
        bus = self._bus
        if not events or bus is None:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await bus.send(together(events, self._writer.hostname))
        except (LeveretError, OSError, TimeoutError) as error:
            self.dropped += len(events)
            if not self._failing:
                log.warning("events cannot be sent and are dropped until they can: %s", error or "no answer in time")
            self._failing = True
        else:
            self._failing = False

    def _announce(self) -> bool:
        """Tell what has begun since the last look; answers whether anything runs."""
        running = self.running()
        if not running:
            return False
        now, wall = self._clock.monotonic(), self._clock.now()
        for job, since in running:
            if len(self._begun) > MOST_KEPT:
                # Of what was given back nobody tells the end.
                self._begun.clear()
            if job.receipt not in self._begun:
                self._begun.add(job.receipt)
                self._add([self._writer.started(job.message, wall - (now - since))])
        return True
