"""Stores that remember for a broker that is another server: who is alive, who has which run, who was charged."""

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.sql.rig import node, session

from leveret.backends.redis import RedisBackendDriver
from leveret.backends.sql.driver import SqlBackendDriver
from leveret.model.delivery import Charge, SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Testimony as Told
from leveret.model.options import DriverOptions
from leveret.ports.ledger import CLEAR, Ledger, Standing
from leveret.wiring.clock import SystemClock

A, B = SessionId("a"), SessionId("b")
LEASE = 0.3
RUN = ("task", 0)
Make = Callable[..., Any]


@pytest.fixture(params=["sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A driver of one store, with other options."""
    if request.param == "sqlite":
        url, driver = f"sqlite:///{tmp_path}/results.db", SqlBackendDriver
    else:
        url, driver = request.getfixturevalue("shared_redis").url, RedisBackendDriver
    transport = {"global_keyprefix": f"{uuid.uuid4()}:"}

    def make(**options: Any) -> Any:
        made = {"lease_seconds": LEASE, "result_transport": transport, **options}
        return driver(Url(url), DriverOptions(**made), SystemClock())

    return make


@pytest.fixture
def see(make: Make) -> Callable[[Callable[[Ledger], Awaitable[None]]], None]:
    """Carry out a story where session `a` of node 1 and `b` of node 2 are alive."""

    def see(story: Callable[[Ledger], Awaitable[None]]) -> None:
        async def main() -> None:
            ledger = make().ledger()
            await ledger.register(FIRST, (session("a", FIRST),))
            await ledger.register(SECOND, (session("b", SECOND),))
            await story(ledger)

        asyncio.run(main())

    return see


FIRST, SECOND = node("one", incarnation="1"), node("two", incarnation="2")


async def until_lost(ledger: Ledger) -> None:
    """The second node beats until the first, which does not, is lost."""
    for _ in range(100):
        if (await ledger.beat(SECOND)).reaped:
            return
        await asyncio.sleep(LEASE / 5)
    pytest.fail("it was not lost")


def test_a_run_that_somebody_alive_has_is_not_taken(see):
    async def story(ledger: Ledger) -> None:
        assert await ledger.take(A, (RUN, ("other", 2))) == (CLEAR, CLEAR)

        held, free = await ledger.take(B, (RUN, ("task", 1)))
        assert (held, free) == (Standing(held_by="a"), CLEAR)

    see(story)


def test_its_own_run_comes_again(see):
    async def story(ledger: Ledger) -> None:
        await ledger.take(A, (RUN,))

        assert await ledger.take(A, (RUN,)) == (CLEAR,)

    see(story)


def test_a_run_that_ended_is_let_go_of_by_its_holder_only(see):
    async def story(ledger: Ledger) -> None:
        await ledger.take(A, (RUN,))

        assert await ledger.take(B, (), (RUN,)) == ()
        assert await ledger.take(B, (RUN,)) == (Standing(held_by="a"),)
        assert await ledger.take(A, (), (RUN,)) == ()
        assert await ledger.take(B, (RUN,)) == (CLEAR,)

    see(story)


def test_what_an_ended_session_had_is_anybodys(see):
    async def story(ledger: Ledger) -> None:
        await ledger.take(A, (RUN,))
        await ledger.end(A)

        assert await ledger.take(B, (RUN,)) == (CLEAR,)

    see(story)


def test_what_a_node_had_that_left_is_anybodys(see):
    async def story(ledger: Ledger) -> None:
        await ledger.register(FIRST, (session("q", FIRST, quarantine=True),))
        await ledger.take(A, (RUN,))
        await ledger.take(SessionId("q"), (("other", 0),))
        await ledger.leave(FIRST)

        assert await ledger.take(B, (RUN, ("other", 0))) == (CLEAR, CLEAR)
        assert [one.incarnation for one in await ledger.nodes()] == ["2"]

    see(story)


def test_what_a_lost_node_had_is_anybodys_and_suspect(see):
    async def story(ledger: Ledger) -> None:
        await ledger.take(A, (RUN,))
        await until_lost(ledger)

        assert await ledger.take(B, (RUN,)) == (Standing(suspect=True),)
        assert await ledger.take(B, (RUN,)) == (CLEAR,)
        assert (await ledger.beat(FIRST)).revived

    see(story)


def test_what_a_lost_quarantine_had_alone_is_convicted(see):
    async def story(ledger: Ledger) -> None:
        await ledger.register(FIRST, (session("q", FIRST, quarantine=True),))
        await ledger.take(SessionId("q"), (RUN,))
        await until_lost(ledger)

        (standing,) = await ledger.take(B, (RUN,))
        assert [(charge.reason, charge.session) for charge in standing.charges] == [("node lost", "q")]

    see(story)


def test_expired_is_not_dead(see):
    async def story(ledger: Ledger) -> None:
        await ledger.take(A, (RUN,))
        await asyncio.sleep(LEASE * 1.2)

        assert not (await ledger.beat(FIRST)).revived
        assert await ledger.take(B, (RUN,)) == (Standing(held_by="a"),)

    see(story)


def test_after_a_silence_all_get_a_lease_of_grace(make):
    async def main() -> None:
        ledger = make(tick_stale_seconds=LEASE / 2).ledger()
        await ledger.register(FIRST, ())
        await ledger.beat(SECOND)
        await asyncio.sleep(LEASE * 1.2)

        assert (await ledger.beat(SECOND)).reaped == 0

    asyncio.run(main())


def test_the_chores_tick(make):
    """Beats come every five seconds; a tick is old after three."""

    async def main() -> None:
        driver = make(tick_stale_seconds=LEASE)
        ledger = driver.ledger()
        chores = driver.chores()
        await ledger.register(FIRST, ())
        await ledger.beat(SECOND)
        for _ in range(4):
            await asyncio.sleep(LEASE / 2)
            await chores.upkeep()

        # SQLite's chores tick once a second at most.
        assert (await ledger.beat(SECOND)).reaped == 1 or isinstance(driver, SqlBackendDriver)

    asyncio.run(main())


def test_a_predecessor_that_is_gone_is_lost_at_once(see):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    async def story(ledger: Ledger) -> None:
        before = node("three", incarnation="3", pid=gone.pid)
        await ledger.register(before, (session("c", before),))
        await ledger.take(SessionId("c"), (RUN,))
        await ledger.register(node("three", incarnation="4"), ())

        assert await ledger.take(A, (RUN,)) == (Standing(suspect=True),)

    see(story)


def test_a_namesake_that_lives_is_not(see):
    async def story(ledger: Ledger) -> None:
        before = node("three", incarnation="3", pid=os.getppid())
        await ledger.register(before, (session("c", before),))
        await ledger.take(SessionId("c"), (RUN,))
        await ledger.register(node("three", incarnation="4"), ())

        assert await ledger.take(A, (RUN,)) == (Standing(held_by="c"),)

    see(story)


def test_what_is_testified_adds_up(see):
    one, two = Charge(reason="signal 9", at=1.5, session="x"), Charge(reason="oom", at=2.25, session="y")

    async def story(ledger: Ledger) -> None:
        await ledger.testify((Told(id="task", charges=(one,)), Told(id="other", suspect=True)))
        await ledger.testify((Told(id="task", charges=(one, two)), Told(id="third")))

        runs = (("task", 0), ("task", 3), ("other", 0), ("third", 0))
        charged, again, suspect, nothing = await ledger.take(A, runs)
        assert charged == again == Standing(charges=(one, two))
        assert suspect == Standing(suspect=True)
        assert nothing == Standing()

    see(story)


def test_the_nodes_that_are_alive(see):
    async def story(ledger: Ledger) -> None:
        assert sorted(one.name for one in await ledger.nodes()) == ["one", "two"]
        await until_lost(ledger)
        assert await ledger.nodes() == (SECOND,)

    see(story)
