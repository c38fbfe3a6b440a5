"""Sessions and nodes that end: charges, suspects, leases and the tick."""

import asyncio
import subprocess
import sys
from dataclasses import replace

from leveret.errors import LeaseLost
from leveret.model.delivery import Return, SessionId
from leveret.model.settlement import Committed, Stale
from leveret.testing.conformance.rig import OPTIONS, QUEUE, Rig, case, case_with, ids

UNHURRIED = replace(OPTIONS, poll_seconds=30.0)
"""Only a bell can wake a waiter in time."""


class TestDeaths:
    @case
    async def test_only_the_charged_are_charged(self, rig: Rig) -> None:
        await rig.send("guilty", "neighbour")
        await rig.join("s1")
        await rig.join("s2")
        guilty, _ = await rig.claim("s1")

        assert await rig.reap("s1", guilty) == 2

        first, second = await rig.claim("s2")
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

        assert (await rig.one("s2")).count == 2

    @case
    async def test_charges_add_up_and_the_message_is_still_handed_over(self, rig: Rig) -> None:
        await rig.send("killer")
        for n in range(3):
            await rig.join(f"s{n}")
            await rig.reap(f"s{n}", await rig.one(f"s{n}"))
        await rig.join("last")

        delivery = await rig.one("last")

        assert [charge.session for charge in delivery.charges] == ["s0", "s1", "s2"]
        assert delivery.charges[0].at == rig.clock.now()

    @case
    async def test_reaping_twice_charges_once(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        guilty = await rig.one("s1")
        await rig.reap("s1", guilty)

        assert await rig.reap("s1", guilty) == 0
        assert len((await rig.one("s2")).charges) == 1

    @case
    async def test_a_charge_for_what_was_settled_is_passed_over(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1")
        a, _ = await rig.claim("s1")
        await rig.settle(a)

        assert await rig.reap("s1", a) == 1

    @case
    async def test_suspects_go_to_the_quarantine_only(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1")
        await rig.join("s2")
        await rig.join("jail", quarantine=True)
        await rig.claim("s1")
        await rig.reap("s1", suspect_others=True)

        assert await rig.claim("s2") == ()
        (delivery,) = await rig.claim("jail", 1, suspects=True)
        assert (delivery.suspect, delivery.charges, ids((delivery,))) == (True, (), ["a"])

    @case
    async def test_the_quarantine_takes_nothing_else(self, rig: Rig) -> None:
        await rig.send("plain")
        await rig.join("jail", quarantine=True)

        assert await rig.claim("jail", suspects=True) == ()

    @case_with(UNHURRIED)
    async def test_a_waiting_quarantine_keeps_no_bell_from_a_worker(self, rig: Rig) -> None:
        bells = []
        for number in range(4):
            other, jail = rig.another(), await rig.join(f"jail{number}", quarantine=True)
            assert await other.claim(jail, suspects=True) == ()
            bells.append(asyncio.create_task(other.broker.bell((QUEUE,), 30)))
        await rig.join("s1")
        assert await rig.claim("s1") == ()
        work = asyncio.create_task(rig.broker.bell((QUEUE,), 30))
        await asyncio.sleep(0.05)

        await rig.another().send("a")

        await asyncio.wait_for(work, 3)
        for bell in bells:
            bell.cancel()
        await asyncio.gather(*bells, return_exceptions=True)

    @case_with(UNHURRIED)
    async def test_a_waiting_quarantine_hears_of_suspects(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.claim("s1")
        other, jail = rig.another(), await rig.join("jail", quarantine=True)
        assert await other.claim(jail, suspects=True) == ()
        bell = asyncio.create_task(other.broker.bell((QUEUE,), 30))
        await asyncio.sleep(0.01)

        await rig.reap("s1", suspect_others=True)

        await asyncio.wait_for(bell, 3)

    @case
    async def test_a_suspect_given_back_stays_one(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("jail", quarantine=True)
        await rig.one("s1")
        await rig.reap("s1", suspect_others=True)
        delivery = await rig.one("jail", suspects=True)
        await rig.broker.give_back((Return(receipt=delivery.receipt),))

        assert (await rig.one("jail", suspects=True)).suspect

    @case
    async def test_the_beat_tells_how_many_suspects_wait(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.send("far", queue="elsewhere")
        await rig.join("s1", rig.node())
        await rig.claim("s1", queues=(QUEUE, "elsewhere"))
        await rig.reap("s1", suspect_others=True)

        assert (await rig.beat()).suspects == 2

    @case
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
        assert await rig.claim("s1") == (), "the session goes on"

    @case
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


class TestLeases:
    @case
    async def test_a_registered_node_is_alive(self, rig: Rig) -> None:
        await rig.join("s1", rig.node("w1"))

        assert [node.name for node in await rig.leases.nodes()] == ["w1"]
        assert (await rig.leases.nodes())[0] == rig.node("w1")

    @case
    async def test_beats_keep_a_long_task(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("w1"))
        await rig.join("s2", rig.node("w2"))
        delivery = await rig.one("s1")
        for _ in range(60):
            await rig.advance(5)
            assert (await rig.beat("w1")).reaped + (await rig.beat("w2")).reaped == 0

        assert await rig.settle(delivery) == Committed()

    @case
    async def test_a_lost_node_gives_its_work_back_as_suspects(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1", rig.node("lost"))
        await rig.join("jail", rig.node("w2"), quarantine=True)
        await rig.claim("s1", 2)
        reaped = 0
        for _ in range(10):
            await rig.advance(5)
            pulse = await rig.beat("w2")
            reaped += pulse.reaped

        assert reaped == 2
        assert pulse.suspects == 2
        assert [(d.charges, d.suspect) for d in await rig.claim("jail", suspects=True)] == [((), True)] * 2
        assert [node.name for node in await rig.leases.nodes()] == ["w2"]

    @case
    async def test_nothing_is_reaped_before_the_lease_is_over(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("lost"))
        await rig.join("s2", rig.node("w2"))
        await rig.claim("s1")
        for _ in range(18):
            await rig.advance(1)
            assert (await rig.beat("w2")).reaped == 0

    @case
    async def test_a_lost_quarantine_convicts_what_it_held(self, rig: Rig) -> None:
        await rig.send("killer")
        await rig.join("s1")
        await rig.one("s1")
        await rig.reap("s1", suspect_others=True)
        await rig.join("jail", rig.node("lost"), quarantine=True)
        await rig.one("jail", suspects=True)
        await rig.join("jail2", rig.node("w2"), quarantine=True)
        for _ in range(10):
            await rig.advance(5)
            await rig.beat("w2")

        delivery = await rig.one("jail2", suspects=True)
        assert [charge.reason for charge in delivery.charges] == ["node lost"]

    @case
    async def test_a_reaped_node_learns_it_from_its_beat(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("w1"))
        await rig.join("s2", rig.node("w2"))
        delivery = await rig.one("s1")
        for _ in range(10):
            await rig.advance(5)
            await rig.beat("w2")

        assert (await rig.beat("w1")).revived
        assert isinstance(await rig.settle(delivery), Stale)
        try:
            await rig.claim("s1")
        except LeaseLost:
            return
        raise AssertionError("the beat of a reaped node brought its sessions back")

    @case
    async def test_a_reaped_node_may_register_anew(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("w1"))
        await rig.join("s2", rig.node("w2"))
        for _ in range(10):
            await rig.advance(5)
            await rig.beat("w2")
        await rig.beat("w1")
        await rig.join("s1b", rig.node("w1"))

        assert ids(await rig.claim("s1b")) == ["a"]
        assert not (await rig.beat("w1")).revived

    @case
    async def test_a_late_renewal_is_accepted(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("w1"))
        delivery = await rig.one("s1")
        await rig.advance(25)  # the lease is over, and nobody has reaped

        assert not (await rig.beat("w1")).revived
        assert await rig.settle(delivery) == Committed()

    @case
    async def test_nothing_is_reaped_while_nobody_could_renew(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("w1"))
        await rig.join("s2", rig.node("w2"))
        delivery = await rig.one("s1")
        await rig.beat("w1")
        await rig.beat("w2")
        await rig.upkeep()
        rig.clock.advance(60)  # the store hung: no tick, no beat

        assert (await rig.beat("w2")).reaped == 0
        assert not (await rig.beat("w1")).revived
        assert await rig.settle(delivery) == Committed()

    @case
    async def test_after_an_outage_the_lost_are_reaped_one_lease_later(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("lost"))
        await rig.join("s2", rig.node("w2"))
        await rig.one("s1")
        rig.clock.advance(60)
        reaped = []
        for _ in range(6):
            await rig.upkeep()
            reaped.append((await rig.beat("w2")).reaped)
            await rig.advance(5)

        assert sum(reaped[:4]) == 0
        assert sum(reaped) == 1

    @case
    async def test_a_predecessor_whose_process_is_gone_is_reaped_at_once(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("w1", incarnation="old", pid=gone_pid()))
        await rig.one("s1")

        await rig.join("s2", rig.node("w1", incarnation="new"), quarantine=True)

        assert ids(await rig.claim("s2", suspects=True)) == ["a"]

    @case
    async def test_a_namesake_on_another_machine_is_left_alone(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("w1", incarnation="old", boot="another machine", pid=gone_pid()))
        delivery = await rig.one("s1")

        await rig.join("s2", rig.node("w1", incarnation="new"))

        assert await rig.settle(delivery) == Committed()

    @case
    async def test_registering_again_keeps_what_is_held(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        delivery = await rig.one("s1")
        await rig.join("s1")

        assert await rig.settle(delivery) == Committed()


def gone_pid() -> int:
    """Answer the pid of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid
