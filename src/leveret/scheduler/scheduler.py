"""Fires what is due. Any number of schedulers may run beside one another, and each may stop anywhere.

Law: a run is decided by one transaction of the store (`take`), which moves the entry on and notes the run as taken. Who
took it sends it and reports it. What was taken and not reported is handed to another, who sends it under the same id,
so that the broker stops it where the first copy had arrived.
Law: the store's clock counts. The machine's own is read for durations only.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from leveret.errors import BrokerError, PublishFailed
from leveret.logic.schedules import ticks
from leveret.model.delivery import Posting
from leveret.model.schedules.entry import Due, Entry, Fire, Move, Report, Standing
from leveret.ports.clock import Clock
from leveret.ports.schedule import ScheduleStore
from leveret.scheduler.neighbour import Neighbour, Seen
from leveret.scheduler.overlap import Overlaps

POLL_SECONDS: Final = 0.5
"""How soon a change of the schedule takes effect, and what another scheduler left behind is looked for."""
BATCH: Final = 200
STALE_SECONDS: Final = 30.0
"""A run taken longer ago than this is not ours to send any more: we slept, and others have seen to it."""
_EACH_SECONDS: Final = 5.0
_FIRST_RETRY: Final = 0.25
_LONGEST_RETRY: Final = 5.0

_TWO_APPS: Final = (
    "another app defines an entry of this name; it is ours now, and theirs at their next start: give each its own name"
)

_ONE_NAME: Final = (
    "the schedule held entries of an app of this name, none of which is ours and none of whose tasks we have; they are "
    'gone: two apps of one name drop each other\'s entries, so give each its own, as in Leveret("shop")'
)

Publish = Callable[[tuple[Posting, ...]], Awaitable[None]]


def log_to_logging(level: str, text: str, /, **fields: object) -> None:
    """Write to the logger `leveret.scheduler`: constant text, then the fields."""
    tail = " ".join(f"{name}={value}" for name, value in fields.items())
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger("leveret.scheduler").log(number, "%s%s", text, f" [{tail}]" if tail else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerParts:
    """What wiring joins into a scheduler. `publish` returns when all are durable, or raises within a bound."""

    store: ScheduleStore
    publish: Publish
    clock: Clock
    overlaps: Overlaps
    source: str = ""
    entries: tuple[Entry, ...] | None = None
    """What the app's code defines, brought into the store at start; None: this scheduler knows no app."""
    tasks: frozenset[str] = frozenset()
    """The names of the app's tasks."""
    seen: Seen | None = None
    """What Celery's beat is seen to send here; None: nobody looks, or it does not matter."""
    log: Callable[..., None] = log_to_logging


class Scheduler:
    """`run` until cancelled."""

    def __init__(self, parts: SchedulerParts) -> None:
        self._store, self._publish, self._clock = parts.store, parts.publish, parts.clock
        self._overlaps, self._log = parts.overlaps, parts.log
        self._source, self._entries, self._tasks = parts.source, parts.entries, parts.tasks
        self._neighbour = None if parts.seen is None else Neighbour(parts.store, parts.seen, parts.log)
        self._failures = 0
        self._unplannable: set[tuple[str, int]] = set()

    async def run(self) -> None:
        while True:
            try:
                if self._entries is not None:
                    await self._synchronise(self._entries)
                pause = await self.tick()
            except BrokerError as error:
                pause = self._outage(error)
            except Exception as error:  # an actor's loop: one bad entry must not end what fires all the others
                self._log("error", "the scheduler met an error and goes on", error=repr(error))
                pause = self._backoff()
            else:
                self._over()
            await asyncio.sleep(pause)

    async def tick(self) -> float:
        """Do what is due; answers in how many seconds to look again."""
        asked = self._clock.monotonic()
        due = await self._store.due(BATCH)
        planned = self._planned(due)
        moves, standings = tuple(move for _, move in planned), tuple(standing for standing, _ in planned)
        moves = await self._overlaps.held_back(moves, standings, due.now)
        if self._neighbour is not None:
            moves = await self._neighbour.held_back(moves, standings, due.now)
        taken = await self._store.take(moves) if moves else ()
        fires = [fire for move, ours in zip(moves, taken, strict=True) if ours for fire in move.fires]
        self._tell_missed(moves, taken)
        fires += due.fires
        if fires:
            # Durations by our own clock: the store's may be far away by now.
            await self._send(tuple(fires), due.now + (self._clock.monotonic() - asked), asked)
        return self._pause(due, moves, self._clock.monotonic() - asked)

    def _planned(self, due: Due) -> list[tuple[Standing, Move]]:
        """Each entry with what is decided about it. One that cannot be planned here (a zone or a library that this
        machine has not) is told once, and left to others."""
        planned = []
        for standing in due.standings:
            try:
                planned.append((standing, self._plan(standing, due.now)))
            except Exception as error:  # whatever an entry does, the others are fired
                if (known := (standing.entry.name, standing.revision)) not in self._unplannable:
                    self._unplannable.add(known)
                    self._log("error", "an entry's next moment cannot be computed here", entry=known[0], error=error)
        return planned

    def _plan(self, standing: Standing, now: float) -> Move:
        return ticks.decide(standing, now)

    async def _synchronise(self, entries: tuple[Entry, ...]) -> None:
        known = [standing.entry for standing in await self._store.look() if standing is not None]
        changed = await self._store.sync(self._source, entries)
        ours = {entry.name for entry in entries}
        for entry in known:
            if entry.name in ours and entry.source not in ("", self._source):
                self._log("warning", _TWO_APPS, entry=entry.name, other=entry.source, ours=self._source)
        if strangers := self._strangers([entry for entry in known if entry.source == self._source], ours):
            self._log("warning", _ONE_NAME, entries=", ".join(strangers[:3]), ours=self._source)
        self._entries = None
        if changed:
            self._log("info", "the schedule that the code defines is in the store", changed=", ".join(changed))

    def _strangers(self, stood: list[Entry], ours: set[str]) -> list[str]:
        """The entries that stood under our name, where nothing about any of them is ours: new code of one app hardly
        ever shares nothing with the old."""
        alien = all(entry.name not in ours and entry.task not in self._tasks for entry in stood)
        return [entry.name for entry in stood] if alien else []

    async def _send(self, fires: tuple[Fire, ...], now: float, taken_at: float) -> None:
        """Publish and report. What fails stays taken: the store hands it out again."""
        if self._clock.monotonic() - taken_at > STALE_SECONDS:
            return
        sent = await self._publish_all(fires, now)
        if sent:
            await self._store.report(
                tuple(Report(name=f.entry.name, revision=f.revision, moment=f.moment, id=f.id) for f in sent)
            )

    async def _publish_all(self, fires: tuple[Fire, ...], now: float) -> tuple[Fire, ...]:
        """At once; and one by one when the broker refuses, so that one bad run holds up no other."""
        try:
            await self._publish(tuple(posting for fire in fires for posting in ticks.postings(fire, now)))
        except PublishFailed as error:
            if len(fires) == 1:
                self._log("warning", "a run cannot be sent and is tried again", entry=fires[0].entry.name, error=error)
                return ()
            return await self._publish_each(fires, now)
        except (BrokerError, TimeoutError) as error:
            self._log("warning", "runs cannot be sent and are tried again", runs=len(fires), error=repr(error))
            return ()
        return fires

    async def _publish_each(self, fires: tuple[Fire, ...], now: float) -> tuple[Fire, ...]:
        """For as long as that is quick: a broker that takes nothing would hold us up with each."""
        until = self._clock.monotonic() + _EACH_SECONDS
        sent: tuple[Fire, ...] = ()
        for fire in fires:
            if self._clock.monotonic() >= until:
                break
            sent += await self._publish_all((fire,), now)
        return sent

    def _tell_missed(self, moves: tuple[Move, ...], taken: tuple[bool, ...]) -> None:
        for move, ours in zip(moves, taken, strict=True):
            if ours and move.missed:
                self._log("info", "moments were missed; the entry's catch-up policy dropped some", entry=move.name)
            if ours and move.skipped:
                self._log("info", "a run was skipped: the one before has not ended", entry=move.name)

    @staticmethod
    def _pause(due: Due, moves: tuple[Move, ...], passed: float) -> float:
        if due.more:
            return 0.0
        coming = [move.due for move in moves if move.due is not None]
        if due.next is not None:
            coming.append(due.next)
        soonest = min(coming, default=None)
        return POLL_SECONDS if soonest is None else min(max(soonest - due.now - passed, 0.0), POLL_SECONDS)

    def _outage(self, error: BrokerError) -> float:
        if not self._failures:
            self._log("warning", "the schedule's store cannot be reached and is tried again", error=error)
        return self._backoff()

    def _backoff(self) -> float:
        self._failures += 1
        longest: float = min(_LONGEST_RETRY, _FIRST_RETRY * 2.0 ** min(self._failures, 8))
        # Jitter: a fleet that lost one store must not come back in step.
        return longest * (0.5 + self._clock.jitter() / 2)

    def _over(self) -> None:
        if self._failures:
            self._log("info", "the schedule's store answers again", failures=self._failures)
        self._failures = 0
