"""Moments at which a script could be stopped half-way: it does all of it, or nothing."""

import asyncio
import os

import pytest
from tests.integration.redis.server import Server

from leveret.brokers.redis.driver import RedisDriver
from leveret.errors import BrokerError, OperationalError, PublishFailed
from leveret.model.delivery import Claim, SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Committed, Stale
from leveret.testing.conformance.fleet import OPTIONS
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import ids, posting, success
from leveret.wiring.clock import SystemClock

FULL = "100kb"
LEASE = 2.0
GONE = 4_000_000
"""No process has such a number."""


class Stubborn(Rig):
    async def again(self, step) -> None:
        """As a worker does: the same, until it is answered."""
        while True:
            try:
                return await step()
            except BrokerError:
                await asyncio.sleep(0.01)


class Factory:
    real_time = True

    def __init__(self, server: Server) -> None:
        self.url = server.url

    def __call__(self, options, clock):
        return RedisDriver(Url(self.url), options, clock)


def on(server: Server, case, options: DriverOptions = OPTIONS) -> None:
    async def main() -> None:
        rig = Stubborn(Factory(server), options)
        try:
            await case(rig)
        finally:
            await rig.close()

    asyncio.run(main())


def test_with_its_memory_full_work_is_taken_and_ends_and_sends_say_why(own_server):
    async def case(rig: Stubborn) -> None:
        await rig.join()
        await rig.send("held", "waiting")
        await rig.broker.publish((posting("late", not_before=rig.clock.now() + 0.2),))
        held = await rig.one()
        own_server.cli("CONFIG", "SET", "maxmemory", FULL)
        await asyncio.sleep(0.25)

        with pytest.raises(PublishFailed, match=r"nothing was sent.*OOM.*maxmemory is reached: give it more"):
            await rig.send("refused")
        with pytest.raises(PublishFailed, match="OOM"):
            rig.main.blocking().publish((posting("refused"),), timeout=1.0)
        answer = await rig.commit(held, record=success("held"), follow=(posting("next", once=True),))
        assert type(answer).__name__ == "Committed"
        assert await rig.main.chores.upkeep() > 0
        taken = await rig.claim(credit=10)
        assert sorted(ids(taken)) == ["late", "next", "waiting"]
        for delivery in taken:
            await rig.commit(delivery, record=success(delivery.encoded.headers["id"]))
        await rig.leases.beat(rig.node())
        await rig.join("s2")
        await rig.broker.bell(("q",), 0.1)
        await rig.nothing("s2")

        own_server.cli("CONFIG", "SET", "maxmemory", "0")
        await rig.send("again")
        assert ids(await rig.claim("s2")) == ["again"]

    on(own_server, case)


def test_a_key_of_somebody_else_under_a_queues_name_takes_nothing_along(server):
    async def case(rig: Stubborn) -> None:
        await rig.join()
        server.cli("SET", "theirs", "a string")
        claim = Claim(session="s1", queues=("q", "theirs"), credit=10, number=1)
        for number in range(1, 5):
            await rig.send(f"m{number}")
            (found,) = await rig.broker.claim(Claim(session="s1", queues=claim.queues, credit=10, number=number))
            assert found.encoded.headers["id"] == f"m{number}"

        with pytest.raises(OperationalError, match="WRONGTYPE"):
            await rig.broker.claim(Claim(session="s1", queues=claim.queues, credit=10, number=5))

    on(server, case)


def test_what_is_due_for_a_key_of_somebody_else_waits_and_nothing_comes_twice(server):
    async def case(rig: Stubborn) -> None:
        await rig.join()
        soon = rig.clock.now() + 0.1
        await rig.broker.publish((posting("a", not_before=soon), posting("b", queue="theirs", not_before=soon)))
        await rig.broker.publish((posting("c", not_before=soon),))
        server.cli("SET", "theirs\x06\x169", "a string")
        await asyncio.sleep(0.15)

        for _ in range(3):
            await rig.main.chores.upkeep()

        assert sorted(ids(await rig.claim())) == ["a", "c"]
        await rig.nothing()
        assert server.cli("ZCARD", "leveret:delayed") == "1"
        assert server.cli("HLEN", "leveret:delayed:messages") == "1"

    on(server, case)


def test_a_task_that_is_followed_by_ten_thousand_loses_none(server):
    async def case(rig: Stubborn) -> None:
        await rig.join()
        await rig.send("first")
        delivery = await rig.one()
        many = tuple(posting(f"f{number}") for number in range(10_000))

        await rig.commit(delivery, record=success("first"), follow=many)

        (counts,) = await rig.admin.counts(("q",))
        assert counts.ready == 10_000
        assert (await rig.backend.get(("first",)))[0].terminal

    on(server, case)


def test_a_receipt_is_not_given_out_again_by_a_redis_that_went_back_in_time(own_server):
    """As after a failover to a replica that lagged behind, or a power cut with `appendfsync everysec`."""

    async def case(rig: Stubborn) -> None:
        await rig.join()
        own_server.cli("SAVE")
        await rig.send("old")
        forgotten = await rig.one()
        own_server.kill()
        own_server.start()
        await rig.again(lambda: rig.send("new"))
        mine = await rig.one()

        assert ids((mine,)) == ["new"]
        assert mine.receipt != forgotten.receipt
        assert isinstance(await rig.commit(forgotten, record=success("old")), Stale)
        assert await rig.commit(mine, record=success("new")) == Committed()

    on(own_server, case)


def test_an_orphan_has_its_time_though_its_machines_clock_is_wrong(server):
    """Redis counts how long a process without a supervisor may finish what it runs; by its own clock."""

    class Late(SystemClock):
        def now(self) -> float:
            return super().now() - 100.0

    async def case(rig: Stubborn) -> None:
        driver = RedisDriver(Url(server.url), rig.options, Late())
        old, new = rig.node("w1", incarnation="old", pid=GONE), rig.node("w1", incarnation="new", pid=GONE + 1)
        living = Session(id=SessionId("s1"), node="w1", incarnation="old", pid=os.getppid())
        await driver.leases().register(old, (living,))
        await rig.send("a")
        await rig.broker.claim(Claim(session=living.id, queues=("q",), credit=1, number=1))

        await driver.leases().register(new, ())

        assert (await driver.leases().beat(new)).reaped == 0
        await driver.broker().close()

    on(server, case)


def test_the_work_of_a_lost_node_is_back_before_its_lease_seconds_are_over(server):
    """Whoever beats when it is told to finds the loss at once."""

    async def case(rig: Stubborn) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("lost"))
        await rig.join("s2", rig.node("w2"))
        await rig.one("s1")
        pulse = await rig.leases.beat(rig.node("lost"))
        silent = rig.clock.now()
        while not pulse.reaped:
            pulse = await rig.leases.beat(rig.node("w2"))
            assert pulse.next_loss is not None
            await asyncio.sleep(0 if pulse.reaped else min(pulse.next_loss + 0.02, LEASE / 4))

        assert LEASE * 0.9 < rig.clock.now() - silent < LEASE
        assert pulse.suspects == 1

    on(server, case, DriverOptions(lease_seconds=LEASE))
