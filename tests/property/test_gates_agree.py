"""Whatever is asked of the limits, memory (the rules themselves), SQLite and Redis answer the same.

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

from leveret.brokers.memory import MemoryDriver
from leveret.brokers.redis.driver import RedisDriver
from leveret.brokers.sql.driver import SqlDriver
from leveret.errors import LeaseLost
from leveret.links.memory.server import MemoryServer
from leveret.model.delivery import SessionId
from leveret.model.endpoint import Url
from leveret.model.limiting.gate import (
    BreakerBound,
    BudgetBound,
    Entry,
    Exit,
    RateBound,
    SlotBound,
    UniqueBound,
    Wish,
)
from leveret.model.node import Node, Reaping, Session
from leveret.model.options import DriverOptions
from leveret.testing.clock import SimClock

IDS = tuple("abcdefgh")
SESSIONS = ("s1", "s2", "s3")
NODE = Node(name="w@host", incarnation="w", boot="b", pid=1, queues=("q",))
OPTIONS = DriverOptions()

bound = st.one_of(
    st.builds(RateBound, st.sampled_from(("k", "odd key: x\n")), st.sampled_from((0.1, 1.0)), st.sampled_from((1, 3))),
    st.builds(SlotBound, st.sampled_from(("k", "k", "other")), st.sampled_from((1, 2, 2))),
    st.builds(BreakerBound, st.just("k"), st.sampled_from((1, 2)), st.just(5.0), st.sampled_from((0.5, 3.0))),
    st.builds(BudgetBound, st.just("k"), st.sampled_from((0.0, 0.5)), st.sampled_from((0.0, 2.0))),
    st.builds(UniqueBound, st.just("u"), st.booleans()),
)
bounds = st.lists(bound, min_size=1, max_size=3, unique_by=lambda one: (type(one), one.key)).map(tuple)
entry = st.builds(Entry, id=st.sampled_from(IDS), attempt=st.sampled_from((0, 0, 1)), bounds=bounds)
exits = st.builds(
    Exit,
    id=st.sampled_from(IDS),
    bounds=bounds,
    outcome=st.sampled_from(("success", "failure", "failure", "none")),
    final=st.booleans(),
    seconds=st.sampled_from((0.0, 0.3, 7.0)),
)
wish = st.builds(
    Wish, key=st.just("u"), id=st.sampled_from(IDS), seconds=st.sampled_from((0.5, 60.0)), replace=st.booleans()
)
session = st.sampled_from(SESSIONS)
step = st.one_of(
    st.tuples(st.just("enter"), session, st.lists(entry, min_size=1, max_size=4).map(tuple)),
    st.tuples(st.just("enter"), session, st.lists(entry, min_size=1, max_size=4).map(tuple)),
    st.tuples(st.just("again"), session),
    st.tuples(st.just("leave"), session, st.lists(exits, max_size=3).map(tuple), st.sampled_from(({}, {"k": 90}))),
    st.tuples(st.just("over"), session, st.sampled_from(("success", "failure", "none"))),
    st.tuples(st.just("reap"), session),
    st.tuples(st.just("wish"), st.lists(wish, min_size=1, max_size=2).map(tuple)),
    st.tuples(st.just("sent"), wish),
    st.tuples(st.just("unsent"), wish),
    st.tuples(st.just("advance"), st.sampled_from((0.0, 0.05, 0.25, 0.6, 1.0, 3.5, 30.0))),
    st.tuples(st.just("advance"), st.sampled_from((0.05, 0.6, 1.0, 61.5))),
)


class Gates:
    """Three of them on one clock; each verb is asked of all."""

    def __init__(self, folder: str, redis: RedisServer) -> None:
        self.clock, self.redis = SimClock(), redis
        redis.call("FLUSHALL")
        self.advance(0.0)
        server = MemoryServer(OPTIONS, self.clock)
        self.drivers = (
            MemoryDriver(Url("memory://x"), OPTIONS, self.clock, server),
            SqlDriver(Url(f"sqlite:///{folder}/queue.db"), OPTIONS, self.clock),
            RedisDriver(Url(redis.url), OPTIONS, self.clock),
        )
        self.gates = [driver.gate() for driver in self.drivers]
        self.keys = [driver.async_keys() for driver in self.drivers]
        self.asked: dict[str, Entry] = {}
        self.stale = False

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.redis.call("SET", "clock", repr(self.clock.now()))

    async def all(self, faces, verb: str, *arguments):
        answer, *others = [await _told(face, verb, *arguments) for face in faces]
        for other in others:
            assert answer == other, (verb, answer, other)
        return answer

    async def register(self) -> None:
        sessions = tuple(Session(id=SessionId(name), node="w@host", incarnation="w", pid=1) for name in SESSIONS)
        for driver in self.drivers:
            await driver.leases().register(NODE, sessions)

    async def do(self, verb: str, *arguments) -> None:
        match verb:
            case "enter":
                self.asked |= {one.id: one for one in arguments[1]}
                await self.all(self.gates, "enter", *arguments)
            case "again":
                await self.all(self.gates, "enter", *arguments, tuple(self.asked.values()))
            case "over":
                told = tuple(
                    Exit(id=one.id, bounds=one.bounds, outcome=arguments[1], seconds=0.2)
                    for one in list(self.asked.values())[:2]
                )
                await self.all(self.gates, "leave", arguments[0], told, {})
            case "leave":
                await self.all(self.gates, "leave", *arguments)
            case "reap":
                for driver in self.drivers:
                    await driver.leases().reap((Reaping(session=SessionId(arguments[0])),))
                if arguments[0] == "s3":
                    await self.register()
            case "advance":
                self.advance(*arguments)
                # Lines that nobody asks for keep their overdue members for a while, each store in its own way.
                self.stale = self.stale or arguments[0] > 30
            case "wish":
                await self.all(self.keys, "wish", *arguments, 2.0)
            case _:
                await self.all(self.keys, verb, arguments)
        if not self.stale:
            seen, *others = [_seen(driver.insight()) for driver in self.drivers]
            for other in others:
                assert seen == other, (seen, other)


def _seen(insight):
    """What people see; but Redis tells a breaker's state by its own clock."""
    states = [replace(state, state="", until=None) for state in insight.states(10)]
    return states, insight.reasons(IDS)


async def _told(face, verb: str, *arguments):
    try:
        return await getattr(face, verb)(*arguments)
    except LeaseLost as error:
        return str(error)


@pytest.mark.usefixtures("told_time")
@settings(max_examples=size(3000, 120), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(step, max_size=25))
def test_all_gates_answer_the_same(shared_redis: RedisServer, steps) -> None:  # noqa: F811
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            gates = Gates(folder, shared_redis)
            await gates.register()
            for verb, *arguments in steps:
                await gates.do(verb, *arguments)
            gates.drivers[1].close()
            assert Path(folder).exists()

    asyncio.run(main())
