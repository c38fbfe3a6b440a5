"""What ledger and outbox leave in Redis, and for how long; and what they ask of it."""

import asyncio

import pytest
from tests.integration.redis.rig import driver
from tests.integration.sql.rig import node, posting, session

from leveret.model.delivery import Charge, SessionId
from leveret.model.node import Testimony as Told
from leveret.ports.outbox import Unsent

A = SessionId("a")
NODE = node("one")
RUNS = tuple((f"task{n}", 0) for n in range(300))
FLEET = {"leveret:ledger:fleet"}
ALIVE = {"leveret:ledger:leases", "leveret:ledger:nodes", "leveret:ledger:sessions", "leveret:ledger:node:1"}


def keys(server) -> set[str]:
    return set(server.cli("KEYS", "*").split())


def days(server, key: str) -> float:
    return int(server.cli("TTL", key)) / 86_400


def test_of_runs_that_ended_nothing_is_kept(server):
    async def main() -> None:
        ledger = driver(server).ledger()
        await ledger.register(NODE, (session("a", NODE),))
        await ledger.beat(NODE)
        await ledger.take(A, RUNS)
        assert keys(server) == FLEET | ALIVE | {"leveret:ledger:held:a"} | {
            f"leveret:ledger:run:0:{r}" for r, _ in RUNS
        }
        assert server.cli("TTL", "leveret:ledger:run:0:task1") == "-1", "it may run for long"
        await ledger.take(A, (), RUNS)
        assert keys(server) == FLEET | ALIVE
        await ledger.take(A, RUNS)
        await ledger.leave(NODE)

    asyncio.run(main())
    assert keys(server) == FLEET


def test_a_batch_is_one_round_trip(server):
    async def main() -> None:
        ledger = driver(server).ledger()
        await ledger.take(A, ())
        server.cli("CONFIG", "RESETSTAT")
        await ledger.take(A, RUNS, RUNS[:100])

    asyncio.run(main())
    assert server.info("cmdstat_evalsha").startswith("calls=1,")


@pytest.mark.parametrize("announced", [True, False])
def test_what_nobody_ends_is_kept_for_a_day(server, announced):
    """The runs of a node that was lost, and of a session that is not known here."""

    async def main() -> None:
        ledger = driver(server).ledger()
        if announced:
            await ledger.register(NODE, (session("a", NODE, quarantine=True),))
        await ledger.take(A, RUNS)
        if announced:
            server.cli("ZADD", "leveret:ledger:leases", 1, "1")
            await ledger.beat(other := node("two", incarnation="2"))
            server.cli("HSET", "leveret:ledger:fleet", "reap_from", 0)
            assert (await ledger.beat(other)).reaped == 1
            await ledger.leave(other)

    asyncio.run(main())
    rest = keys(server) - FLEET
    assert len(rest) == (601 if announced else 301)
    assert all(0.99 < days(server, key) < 1.01 for key in rest)


def test_a_session_that_is_announced_again_keeps_what_it_has(server):
    async def main() -> None:
        ledger = driver(server).ledger()
        await ledger.take(A, RUNS)
        await ledger.register(NODE, (session("a", NODE),))
        assert server.cli("TTL", "leveret:ledger:held:a") == "-1"
        await ledger.end(A)
        await ledger.leave(NODE)

    asyncio.run(main())
    assert keys(server) == set()


def test_what_is_testified_is_kept_for_a_day(server):
    async def main() -> None:
        ledger = driver(server).ledger()
        await ledger.testify((Told(id="x", charges=(Charge(reason="oom", at=1.0),)), Told(id="y", suspect=True)))

    asyncio.run(main())
    assert keys(server) == {"leveret:ledger:told", "leveret:ledger:told:x", "leveret:ledger:told:y"}
    assert all(0.99 < days(server, key) < 1.01 for key in keys(server))


def test_without_a_ledger_the_chores_ask_nothing(server):
    driven = driver(server)

    assert asyncio.run(driven.chores().upkeep()) > 60
    assert keys(server) == set()
    driven.ledger()
    assert asyncio.run(driven.chores().upkeep()) == 1.0
    assert keys(server) == FLEET


def test_an_intent_is_kept_for_a_day_and_leaves_nothing(server):
    outbox = driver(server, global_keyprefix="mine:").blocking_outbox()
    outbox.intend(Unsent(id="x", postings=(posting("a"),)), 20.0)

    assert keys(server) == {"mine:leveret:outbox", "mine:leveret:outbox:x"}
    assert 1 < days(server, "mine:leveret:outbox:x") < 1.01
    assert 2 < days(server, "mine:leveret:outbox") < 2.01
    outbox.sent(("x", "unknown"))
    assert keys(server) == set()


def test_an_id_whose_messages_expired_is_forgotten(server):
    async def main() -> None:
        outbox = driver(server).outbox()
        for name in ("x", "y"):
            await outbox.intend(Unsent(id=name, postings=(posting(name),)), 0.0)
        server.cli("DEL", "leveret:outbox:x")
        assert [one.id for one in await outbox.overdue(10)] == ["y"]

    asyncio.run(main())
    assert server.cli("ZRANGE", "leveret:outbox", 0, -1) == "y"
