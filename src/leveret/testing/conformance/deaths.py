"""Processes that die: charges and suspects."""

import asyncio
from dataclasses import replace

from leveret.model.delivery import SessionId
from leveret.model.settlement import Committed, Stale
from leveret.ports.broker import Capability
from leveret.testing.conformance.case import case
from leveret.testing.conformance.fleet import OPTIONS
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import QUEUE, ids

UNHURRIED = replace(OPTIONS, poll_seconds=30.0)
"""Only a bell can wake a waiter in time."""


class TestDeaths:
    @case
    async def test_only_the_charged_are_charged(self, rig: Rig) -> None:
        await rig.send("guilty", "neighbour")
        await rig.join("s1")
        await rig.join("s2")
        guilty, _ = await rig.claim("s1")

        await rig.reap("s1", guilty, back=2)

        first, second = rig.named(await rig.claim("s2"), "guilty", "neighbour")
        assert [(c.reason, c.session) for c in first.charges] == [("signal 9", "s1")]
        assert second.charges == ()
        assert not first.suspect and not second.suspect

    @case
    async def test_what_a_dead_session_held_counts_one_more(self, rig: Rig) -> None:
        """It may have run to its end and died before settling: a count above 1 makes `admit` look for the outcome."""
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        await rig.one("s1")
        await rig.reap("s1")

        again = await rig.one("s2")
        assert rig.counted(again, 2) and (again.charges, again.suspect) == ((), False)

    @case
    async def test_charges_add_up_and_the_message_is_still_handed_over(self, rig: Rig) -> None:
        await rig.send("killer")
        for n in range(3):
            await rig.join(f"s{n}")
            await rig.reap(f"s{n}", await rig.one(f"s{n}"))
        await rig.join("last")

        delivery = await rig.one("last")

        assert [charge.session for charge in delivery.charges] == ["s0", "s1", "s2"]
        assert delivery.charges == rig.laid

    @case
    async def test_reaping_twice_charges_once(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        guilty = await rig.one("s1")
        await rig.reap("s1", guilty)

        await rig.reap("s1", guilty, back=0)
        assert len((await rig.one("s2")).charges) == 1

    @case
    async def test_a_charge_for_what_was_settled_is_passed_over(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1")
        a, _ = await rig.claim("s1")
        await rig.settle(a)

        await rig.reap("s1", a, back=1)

        await rig.join("s2")
        (only,) = await rig.claim("s2")
        assert (ids((only,)), only.charges) == (["b"], ())

    @case
    async def test_suspects_go_to_the_quarantine_only(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1")
        await rig.join("s2")
        await rig.join("jail", quarantine=True)
        await rig.claim("s1")
        await rig.reap("s1", suspect_others=True)

        await rig.nothing("s2")
        (delivery,) = await rig.claim("jail", 1, suspects=True)
        assert (delivery.suspect, delivery.charges) == (True, ())
        await rig.settle(delivery)
        rig.named((delivery, *await rig.claim("jail", 1, suspects=True)), "a", "b")

    @case
    async def test_the_quarantine_takes_nothing_else(self, rig: Rig) -> None:
        await rig.send("plain")
        await rig.join("jail", quarantine=True)

        await rig.nothing("jail", suspects=True)

    @case(options=UNHURRIED)
    async def test_a_waiting_quarantine_keeps_no_bell_from_a_worker(self, rig: Rig) -> None:
        bells = []
        for number in range(4):
            jail = await rig.join(f"jail{number}", quarantine=True, apart=True)
            await rig.nothing(jail, suspects=True)
            bells.append(asyncio.create_task(rig.bell(jail, 30)))
        await rig.join("s1")
        await rig.nothing("s1")
        work = asyncio.create_task(rig.bell("s1", 30))
        await asyncio.sleep(0.05)

        await rig.another().send("a")

        await asyncio.wait_for(work, 3)
        for bell in bells:
            bell.cancel()
        await asyncio.gather(*bells, return_exceptions=True)

    @case(needs=Capability.LEASE, options=UNHURRIED)
    async def test_a_waiting_quarantine_hears_of_suspects(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.claim("s1")
        await rig.join("jail", quarantine=True, apart=True)
        await rig.nothing("jail", suspects=True)
        bell = asyncio.create_task(rig.bell("jail", 30))
        await asyncio.sleep(0.01)

        await rig.reap("s1", suspect_others=True)

        await asyncio.wait_for(bell, 3)

    @case
    async def test_a_suspect_given_back_stays_one(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        await rig.join("jail", quarantine=True)
        await rig.one("s1")
        await rig.reap("s1", suspect_others=True)
        await rig.nothing("s2")
        await rig.give_back(await rig.one("jail", suspects=True))

        await rig.nothing("s2")
        assert (await rig.one("jail", suspects=True)).suspect

    @case
    async def test_the_beat_tells_that_suspects_wait(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1", rig.node("w1"))
        await rig.join("s2", rig.node("w1"))
        await rig.claim("s1")
        await rig.reap("s1", suspect_others=True)
        await rig.nothing("s2")

        async def suspects() -> int:
            return (await rig.beat("w1")).suspects

        await rig.becomes(suspects, 2)

    @case(needs=Capability.LEASE)
    async def test_the_beat_tells_how_many_suspects_wait(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.send("far", queue="elsewhere")
        await rig.join("s1", rig.node())
        await rig.claim("s1", queues=(QUEUE, "elsewhere"))
        await rig.reap("s1", suspect_others=True)

        assert (await rig.beat()).suspects == 2

    @case(needs=Capability.LEASE)
    async def test_release_gives_back_all_but_what_is_kept(self, rig: Rig) -> None:
        await rig.send("a", "b", "c")
        await rig.join("s1")
        await rig.join("s2")
        _, b, c = await rig.claim("s1")

        assert await rig.leases.release(SessionId("s1"), (b.receipt,)) == 2

        again = await rig.claim("s2")
        assert (ids(again), [d.charges for d in again]) == (["a", "c"], [(), ()])
        assert [d.count for d in again] == [2, 2], "it may have ended, its outcome stored and not settled"
        assert await rig.settle(b) == Committed()
        assert isinstance(await rig.settle(c), Stale)
        await rig.nothing("s1")  # and the session goes on

    @case(needs=Capability.LEASE)
    async def test_leaving_gives_everything_back_uncharged(self, rig: Rig) -> None:
        node = rig.node("w1")
        await rig.send("a", "b")
        await rig.join("s1", node)
        await rig.join("s2", node)
        await rig.claim("s1", 1)
        await rig.claim("s2", 1)

        await rig.leases.leave(node)

        await rig.join("other")
        assert [(d.charges, d.suspect) for d in await rig.claim("other")] == [((), False), ((), False)]
        assert rig.node("w1") not in await rig.leases.nodes()
