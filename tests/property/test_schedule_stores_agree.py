"""Whatever is done to a schedule, the stores in memory, in SQLite and in Redis answer the same.

Redis has no clock that can be told the time, so its scripts read a key instead of `TIME`.
"""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.e2e.drill import size
from tests.servers.fixtures import shared_redis, told_time  # noqa: F401 - fixtures
from tests.servers.redis import RedisServer

from leveret.links.memory.server import MemoryServer
from leveret.logic.schedules import ticks
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.schedulestores.memory import MemorySchedules
from leveret.schedulestores.redis import RedisScheduleDriver
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
    st.tuples(st.just("advance"), st.sampled_from((0.25, 1.0, 2.5, 30.0))),
    st.tuples(st.just("tick"), st.booleans(), st.booleans()),
    st.tuples(st.just("stale"), st.booleans()),
)


class Stores:
    """The stores on one clock; each verb is asked of all."""

    def __init__(self, folder: str, redis: RedisServer) -> None:
        self.clock, self.redis = SimClock(), redis
        redis.call("FLUSHALL")
        self.advance(0.0)
        server = MemoryServer(DriverOptions(), self.clock)
        self.drivers = (
            SqlScheduleDriver(Url(f"sqlite:///{folder}/queue.db"), DriverOptions(), self.clock),
            RedisScheduleDriver(Url(redis.url), DriverOptions(), self.clock),
        )
        self.stores = MemorySchedules(server), *(driver.schedules() for driver in self.drivers)
        self.old: tuple[object, ...] = ()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.redis.call("SET", "clock", repr(self.clock.now()))

    async def close(self) -> None:
        for driver in self.drivers:
            await driver.close()

    async def ask(self, verb: str, *arguments):
        answer, *others = [_told(verb, await getattr(store, verb)(*arguments)) for store in self.stores]
        for other in others:
            assert answer == other, (verb, answer, other)
        return answer

    async def do(self, verb: str, *arguments) -> None:
        match verb:
            case "put":
                await self.ask("put", arguments)
            case "sync":
                (lines,) = arguments
                await self.ask("sync", "code", tuple(replace(one, source="code") for one in lines))
            case "advance":
                self.advance(*arguments)
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


def _told(verb: str, answer):
    """An answer without the order that is not said: of those due at the same moment, and of names that changed."""
    match verb:
        case "due":
            standings = tuple(sorted(answer.standings, key=lambda standing: standing.entry.name))
            return replace(answer, standings=standings, fires=tuple(sorted(answer.fires, key=lambda fire: fire.id)))
        case "sync":
            return sorted(answer)
        case _:
            return answer


@pytest.mark.usefixtures("told_time")
@settings(max_examples=size(1500, 120), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(step, max_size=25))
def test_all_stores_answer_the_same(shared_redis: RedisServer, steps) -> None:  # noqa: F811
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            stores = Stores(folder, shared_redis)
            try:
                for verb, *arguments in steps:
                    await stores.do(verb, *arguments)
            finally:
                await stores.close()
            assert Path(folder).exists()

    asyncio.run(main())
