"""What the cases stand on: two processes on one store, and a few values."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from leveret.logic.schedules import ticks
from leveret.model.delivery import Encoded, Posting
from leveret.model.options import DriverOptions
from leveret.model.schedules.entry import Due, Entry, Fire, Move, Report, Standing
from leveret.model.schedules.timing import Every
from leveret.ports.clock import Clock
from leveret.ports.driver import ScheduleDriver
from leveret.ports.schedule import ScheduleStore
from leveret.testing.clock import SimClock

OPTIONS = DriverOptions(poll_seconds=0.02)


class ScheduleFactory(Protocol):
    def __call__(self, options: DriverOptions, clock: Clock) -> ScheduleDriver: ...


class Rig:
    """Two processes on one store, and time that passes when told."""

    def __init__(self, factory: ScheduleFactory) -> None:
        self.real_time = getattr(factory, "real_time", False)
        self.clock = SimClock()
        self.drivers = [factory(OPTIONS, self.clock) for _ in range(2)]
        self.store: ScheduleStore = self.drivers[0].schedules()
        self.other: ScheduleStore = self.drivers[1].schedules()

    async def advance(self, seconds: float) -> None:
        if self.real_time:
            await asyncio.sleep(seconds)
        else:
            self.clock.advance(seconds)

    async def now(self) -> float:
        return (await self.store.due(0)).now

    async def one(self, name: str = "a", runs: int = 0) -> Standing:
        (standing,) = await self.store.look((name,), runs)
        assert standing is not None
        return standing

    async def plan(self) -> None:
        """Give every new entry its next moment."""
        due = await self.store.due(100)
        assert all(await self.store.take(ticks.plan(due.standings, due.now)))

    async def due_in(self, seconds: float, name: str = "a") -> Standing:
        """Make an entry that is due in so many seconds, planned."""
        await self.store.put((entry(name, seconds),))
        await self.plan()
        return await self.one(name)

    async def close(self) -> None:
        for driver in self.drivers:
            await driver.close()


Case = Callable[[Any, Rig], Awaitable[None]]


def case(function: Case) -> Callable[[Any, ScheduleFactory], None]:
    """Turn `async def test_x(self, rig)` into a test."""

    def test(self: Any, schedule_factory: ScheduleFactory) -> None:
        asyncio.run(_run(functools.partial(function, self), schedule_factory))

    functools.update_wrapper(test, function)
    del test.__wrapped__  # type: ignore[attr-defined] # pytest would look through it and ask for a fixture `rig`
    return test


async def _run(function: Callable[[Rig], Awaitable[None]], factory: ScheduleFactory) -> None:
    rig = Rig(factory)
    try:
        await asyncio.wait_for(function(rig), 30)
    finally:
        await rig.close()


def entry(name: str = "a", seconds: float = 60.0, **facts: Any) -> Entry:
    encoded = Encoded(
        {"task": "t", "id": "", "leveret": {"v": 1, "id": "", "retries": 0, "derived": True}}, b"[[],{},{}]"
    )
    posting = Posting(id="", queue="q", encoded=encoded, once=True)
    return Entry(name=name, task="t", timing=Every(seconds=seconds), postings=(posting,), **facts)


def move(standing: Standing, moment: float, *, fire: bool = True) -> Move:
    fires = (ticks.fire_of(standing, moment),) if fire else ()
    return Move(
        name=standing.entry.name,
        revision=standing.revision,
        seen=standing.cursor,
        cursor=moment,
        due=moment + 60.0,
        fires=fires,
    )


def told(fire: Fire) -> Report:
    return Report(name=fire.entry.name, revision=fire.revision, moment=fire.moment, id=fire.id)


def names(due: Due) -> list[str]:
    return [standing.entry.name for standing in due.standings]
