"""What limits leave in Redis, and for how long; and what they ask of it."""

import asyncio

import pytest
from tests.integration.redis.rig import driver
from tests.integration.redis.test_rights import OUR_KEYS, PAGE, login
from tests.integration.sql.rig import node, session

from leveret.brokers.redis.driver import RedisDriver
from leveret.errors import OperationalError
from leveret.links.redis.refusals import LEDGER_RIGHTS, LIMIT_RIGHTS, RIGHTS
from leveret.model.delivery import SessionId
from leveret.model.endpoint import Url
from leveret.model.limiting.gate import (
    BoundState,
    BreakerBound,
    BudgetBound,
    Entry,
    Exit,
    Passed,
    RateBound,
    SlotBound,
    UniqueBound,
    Wait,
    Wish,
)
from leveret.model.options import DriverOptions
from leveret.testing.clock import SimClock

A, NODE = SessionId("a"), node("one")
RATE, SLOTS, BREAKER = RateBound("r", 5.0), SlotBound("c", 2), BreakerBound("b", 2, 60.0, 0.1)
BUDGET, UNIQUE = BudgetBound("t", 0.1, 1.0), UniqueBound("u")
ALL = RATE, SLOTS, BREAKER, BUDGET, UNIQUE


def broker(url: str) -> RedisDriver:
    return RedisDriver(Url(url), DriverOptions(), SimClock())


def entries(*names: str, bounds=ALL, attempt: int = 1) -> tuple[Entry, ...]:
    return tuple(Entry(id=name, attempt=attempt, bounds=bounds) for name in names)


def over(name: str, bounds=ALL, outcome: str = "success") -> tuple[Exit, ...]:
    return (Exit(id=name, bounds=bounds, outcome=outcome, seconds=0.1),)


async def everything(drv) -> None:
    """All that limits do."""
    sessions = drv.leases() if hasattr(drv, "leases") else drv.ledger()
    gate, keys, wished = drv.gate(), drv.async_keys(), (Wish(key="u", id="x", seconds=60.0),)
    await sessions.register(NODE, (session("a", NODE),))
    await keys.wish(wished, 5.0)
    await keys.sent(wished)
    assert await gate.enter(A, entries("x")) == (Passed(),)
    assert isinstance((await gate.enter(A, entries("y", "z", bounds=(RATE,))))[1], Wait)
    assert len(await gate.enter(A, entries("1", "2", "3", bounds=(SLOTS,)))) == 3
    await gate.leave(A, over("x", outcome="failure"), {"t": 5})
    await gate.leave(A, over("x", outcome="failure"), {})
    await asyncio.sleep(0.15)
    assert await gate.enter(A, entries("p", bounds=(BREAKER,))) == (Passed(),)
    drv.insight().states(10)
    drv.insight().reasons(["y"])
    await gate.leave(A, (*over("p", (BREAKER,)), *over("1", (SLOTS,)), *over("z", (RATE,), "none")), {})
    await keys.unsent(wished)
    for number in range(40):  # among them those at which one is looked after that nobody asked for
        await gate.enter(A, entries(f"s{number}", bounds=(SlotBound(f"c{number}", 1),)))
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("as_broker", [True, False])
def test_everything_has_its_term_but_what_is_held(server, as_broker):
    drv = broker(server.url) if as_broker else driver(server)

    asyncio.run(everything(drv))

    names = server.cli("--scan", "--pattern", "leveret:limit*").split()
    endless = {name for name in names if server.cli("TTL", name) == "-1"}
    assert "leveret:limit:line:rate:r" in names
    assert {name for name in endless if name[:19] != "leveret:limit:slots"} <= {"leveret:limits"}
    held = {f"leveret:limit:slots:{state.key}" for state in drv.insight().states(100) if state.held}
    assert endless - {"leveret:limits"} == held


def test_nothing_is_left_of_limits_that_nobody_uses_any_more(server):
    """A process was killed, and its key is never asked for again: others look after it."""
    drv = broker(server.url)

    async def main() -> None:
        await drv.leases().register(NODE, (session("a", NODE), session("b", NODE)))
        await drv.gate().enter(SessionId("b"), entries("x", bounds=(SlotBound("old", 1),)))
        server.cli("HDEL", "leveret:claims", "b")
        for number in range(400):
            bounds = (SlotBound(f"c{number}", 1),)
            await drv.gate().enter(A, entries("y", bounds=bounds))
            await drv.gate().leave(A, over("y", bounds), {})
            if server.cli("EXISTS", "leveret:limit:slots:old") == "0":
                return

    asyncio.run(main())

    assert server.cli("EXISTS", "leveret:limit:slots:old") == "0"
    assert drv.insight().states(5) == ()


def test_a_batch_is_one_script(server):
    drv = broker(server.url)

    async def main() -> None:
        await drv.leases().register(NODE, (session("a", NODE),))
        await drv.gate().enter(A, entries("x"))
        await drv.gate().leave(A, over("x"), {})
        server.cli("CONFIG", "RESETSTAT")
        names = tuple(f"t{number}" for number in range(100))
        await drv.gate().enter(A, entries(*names, bounds=(RATE, SLOTS)))
        await drv.gate().leave(A, tuple(one for name in names for one in over(name, (RATE, SLOTS))), {})
        # Of a rate there is nothing to tell.
        await drv.gate().leave(A, over("t1", (RATE,)), {})

    asyncio.run(main())
    assert server.info("cmdstat_evalsha").startswith("calls=2,")


def test_with_its_memory_full_what_ends_is_still_noted_and_what_may_begin_begins(server):
    drv = broker(server.url)

    async def main() -> None:
        await drv.leases().register(NODE, (session("a", NODE),))
        gate = drv.gate()
        assert len(await gate.enter(A, entries("x", "y", bounds=(SLOTS,)))) == 2
        server.cli("CONFIG", "SET", "maxmemory", "1")
        try:
            await gate.leave(A, over("x", (SLOTS,)), {"t": 1})
            assert await gate.enter(A, entries("z", bounds=(SLOTS,))) == (Passed(),)
        finally:
            server.cli("CONFIG", "SET", "maxmemory", "0")

    asyncio.run(main())
    assert drv.insight().states(5) == (BoundState(bound="slots", key="c", held=2),)


@pytest.mark.parametrize("source", ["the code", "the page"])
def test_the_rights_we_ask_for_are_enough(server, source):
    rules = f"{RIGHTS} {LEDGER_RIGHTS} {LIMIT_RIGHTS}".split()
    if source == "the page":
        lines = [line for line in PAGE.read_text().splitlines() if line.startswith("ACL SETUSER worker")]
        rules = [word for line in lines for word in line.split()[3:] if word[0] == "+"]

    asyncio.run(everything(driver(login(server, *OUR_KEYS, *rules, "&*"))))


def test_without_them_the_error_says_what_to_grant(server):
    drv = driver(login(server, *OUR_KEYS, *RIGHTS.split(), *LEDGER_RIGHTS.split(), "&*"))

    with pytest.raises(OperationalError, match=r"may not keep limits .* ACL SETUSER <user> .*\+zrank"):
        asyncio.run(everything(drv))
