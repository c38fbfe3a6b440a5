"""Whatever is done to a schedule, the stores in memory and in SQLite answer the same."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.e2e.drill import size

from leveret.links.memory.server import MemoryServer
from leveret.logic.schedules import ticks
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.schedulestores.memory import MemorySchedules
from leveret.schedulestores.sql import SqlScheduleDriver
from leveret.testing.clock import SimClock
from leveret.testing.conformance.schedules.rig import entry, told

name = st.sampled_from("abc")
names = st.lists(name, min_size=1, max_size=3, unique=True).map(tuple)
line = st.builds(
    lambda name, seconds, text, source: entry(name, seconds, arguments=text, source=source),
    name, st.sampled_from((1.0, 5.0)), st.sampled_from(("", "x")), st.sampled_from(("", "code", "other")),
)  # fmt: skip
step = st.one_of(
    st.tuples(st.just("put"), line),
    st.tuples(st.just("sync"), st.lists(line, max_size=3, unique_by=lambda one: one.name)),
    st.tuples(st.just("drop"), names),
    st.tuples(st.just("pause"), names, st.booleans()),
    st.tuples(st.just("advance"), st.sampled_from((0.3, 1.0, 2.5, 30.0))),
    st.tuples(st.just("tick"), st.booleans(), st.booleans()),
    st.tuples(st.just("stale"), st.booleans()),
)


class Pair:
    """Both stores on one clock; each verb is asked of both."""

    def __init__(self, folder: str) -> None:
        self.clock = SimClock()
        server = MemoryServer(DriverOptions(), self.clock)
        self.driver = SqlScheduleDriver(Url(f"sqlite:///{folder}/queue.db"), DriverOptions(), self.clock)
        self.stores = MemorySchedules(server), self.driver.schedules()
        self.old: tuple[object, ...] = ()

    async def ask(self, verb: str, *arguments):
        one, other = [await getattr(store, verb)(*arguments) for store in self.stores]
        if verb == "due":
            # Which of those due at the same moment comes first is not said.
            one, other = (
                replace(d, standings=tuple(sorted(d.standings, key=_name)), fires=tuple(sorted(d.fires, key=_id)))
                for d in (one, other)
            )
        assert one == other if verb != "sync" else sorted(one) == sorted(other), (verb, one, other)
        return one

    async def do(self, verb: str, *arguments) -> None:
        match verb:
            case "put":
                await self.ask("put", arguments)
            case "sync":
                (lines,) = arguments
                await self.ask("sync", "code", tuple(replace(one, source="code") for one in lines))
            case "advance":
                self.clock.advance(*arguments)
            case "tick":
                await self.tick(*arguments)
            case "stale":
                await self.ask("take", self.old)
            case _:
                await self.ask(verb, *arguments)
        await self.ask("look", None, 5)
        await self.ask("look", ("a", "nothing"), 0)

    async def tick(self, reports: bool, skips: bool) -> None:
        due = await self.ask("due", 10)
        moves = ticks.plan(due.standings, due.now)
        self.old = tuple(ticks.skip(move, due.now) for move in moves) if skips else moves
        taken = await self.ask("take", self.old)
        fires = [fire for move, ours in zip(self.old, taken, strict=True) if ours for fire in move.fires]
        if reports:
            await self.ask("report", tuple(told(fire) for fire in (*fires, *due.fires)))


def _name(standing) -> str:
    return standing.entry.name


def _id(fire) -> str:
    return fire.id


@settings(max_examples=size(1500, 120), deadline=None)
@given(steps=st.lists(step, max_size=25))
def test_both_stores_answer_the_same(steps) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            pair = Pair(folder)
            try:
                for verb, *arguments in steps:
                    await pair.do(verb, *arguments)
            finally:
                await pair.driver.close()
            assert Path(folder).exists()

    asyncio.run(main())
