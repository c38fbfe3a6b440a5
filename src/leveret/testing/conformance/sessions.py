"""How long a session lasts: the leases of nodes and the tick; connections, where a session is one."""

import asyncio
import subprocess
import sys

from msgspec.structs import replace

from leveret.errors import BrokerError, LeaseLost
from leveret.model.delivery import SessionId, Verdict
from leveret.model.settlement import Committed, Stale
from leveret.ports.broker import Capability
from leveret.testing.conformance.case import case
from leveret.testing.conformance.needs import Trait
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import ids


class TestLeases:
    needs = (Trait.BROKER, Capability.LEASE)

    @case
    async def test_a_registered_node_is_alive(self, rig: Rig) -> None:
        await rig.join("s1", rig.node("w1"))

        assert [node.name for node in await rig.leases.nodes()] == ["w1"]
        assert (await rig.leases.nodes())[0] == rig.node("w1")

    @case
    async def test_a_node_that_registers_again_is_what_it_says_last(self, rig: Rig) -> None:
        await rig.join("s1", rig.node("w1"))
        grown = replace(rig.node("w1"), slots=7)

        await rig.leases.register(grown, ())

        assert await rig.leases.nodes() == (grown,)

    @case(needs=Trait.HOURS)
    async def test_beats_keep_a_long_task(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("w1"))
        await rig.join("s2", rig.node("w2"))
        delivery = await rig.one("s1")
        for _ in range(60):
            await rig.advance(5)
            assert (await rig.beat("w1")).reaped + (await rig.beat("w2")).reaped == 0

        assert await rig.settle(delivery) == Committed()

    @case(needs=Trait.HOURS)
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

    @case(needs=Trait.HOURS)
    async def test_nothing_is_reaped_before_the_lease_is_over(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("lost"))
        await rig.join("s2", rig.node("w2"))
        await rig.claim("s1")
        for _ in range(18):
            await rig.advance(1)
            assert (await rig.beat("w2")).reaped == 0

    @case(needs=Trait.HOURS)
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

    @case(needs=Trait.HOURS)
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

    @case(needs=Trait.HOURS)
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

    @case(needs=Trait.HOURS)
    async def test_a_late_renewal_is_accepted(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("w1"))
        delivery = await rig.one("s1")
        await rig.advance(25)  # the lease is over, and nobody has reaped

        assert not (await rig.beat("w1")).revived
        assert await rig.settle(delivery) == Committed()

    @case(needs=Trait.HOURS)
    async def test_nothing_is_reaped_while_nobody_could_renew(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("w1"))
        await rig.join("s2", rig.node("w2"))
        delivery = await rig.one("s1")
        await rig.beat("w1")
        await rig.beat("w2")
        await rig.upkeep()
        await rig.jump(60)  # the store hung: no tick, no beat

        assert (await rig.beat("w2")).reaped == 0
        assert not (await rig.beat("w1")).revived
        assert await rig.settle(delivery) == Committed()

    @case(needs=Trait.HOURS)
    async def test_after_an_outage_the_lost_are_reaped_one_lease_later(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1", rig.node("lost"))
        await rig.join("s2", rig.node("w2"))
        await rig.one("s1")
        await rig.jump(60)
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


class TestConnections:
    """Where a session is a connection: what it held goes back when that ends, and the old receipts with it."""

    needs = (Trait.BROKER, Trait.SEVERABLE)

    @case
    async def test_what_a_vanished_process_held_comes_again(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1")
        await rig.join("s2")
        await rig.claim("s1")
        await rig.die("s1")

        again = rig.named(await rig.claim("s2"), "a", "b")
        assert [d.redelivered for d in again] == [True, True]
        assert [(d.charges, d.suspect) for d in again] == [((), False)] * 2

    @case
    async def test_charges_reach_what_came_back_before_them(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        guilty = await rig.one("s1")
        await rig.die("s1")
        await rig.reap("s1", guilty)

        assert (await rig.one("s2")).charges == rig.laid

    @case
    async def test_a_session_that_ends_gives_back_what_it_held(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1")
        await rig.join("s2")
        await rig.claim("s1")
        await rig.stop("s1")

        again = rig.named(await rig.claim("s2"), "a", "b")
        assert [(d.charges, d.suspect) for d in again] == [((), False)] * 2

    @case
    async def test_a_lost_connection_is_told(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.one()
        severed = asyncio.create_task(rig.severed("s1"))
        await asyncio.sleep(0.1)
        assert not severed.done()

        await rig.cut("s1")

        await asyncio.wait_for(severed, 10)

    @case
    async def test_receipts_end_with_their_connection(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1")
        olds = await rig.claim("s1")
        await rig.cut("s1")
        # Nothing of it has begun; what had, would go on, and would not be handed over beside itself.
        await rig.give_back(*olds)
        heir = await rig.renew("s1")
        news = rig.named(await rig.claim(heir), "a", "b")
        assert [d.redelivered for d in news] == [True, True]

        for old in olds:
            for verdict in Verdict:
                assert isinstance(await rig.settle(old, verdict), Stale)
        await rig.give_back(*olds)

        await rig.nothing(heir)
        assert [await rig.settle(new) for new in news] == [Committed()] * 2
        await rig.stop(heir)
        await rig.stands(0, 0, 0, 0)

    @case
    async def test_work_goes_on_after_a_lost_connection(self, rig: Rig) -> None:
        await rig.join("s1")
        await rig.nothing("s1")
        bell = asyncio.create_task(rig.bell("s1", 30))
        await asyncio.sleep(0.01)

        await rig.cut("s1")

        done, _ = await asyncio.wait({bell}, timeout=10)
        assert done and isinstance(bell.exception(), BrokerError | None), "a claim follows, which tells more"
        heir = await rig.renew("s1")
        await rig.send("a")
        delivery = await rig.one(heir)
        assert ids((delivery,)) == ["a"]
        assert await rig.settle(delivery) == Committed()

    @case
    async def test_a_node_may_talk_as_if_it_had_a_lease(self, rig: Rig) -> None:
        """Supervisors and workers say the same on every broker."""
        await rig.send("a")
        await rig.leases.register(rig.node("w1"), ())
        await rig.join("s1", rig.node("w1"))
        held = await rig.one()

        pulse = await rig.beat("w1")
        assert (pulse.suspects, pulse.revived, pulse.reaped) == (0, False, 0)
        assert all(node.name == "w1" for node in await rig.leases.nodes())
        assert await rig.reconcile("s1", held.receipt) == ()
        assert await rig.leases.release(SessionId("s1"), (held.receipt,)) == 0
        assert await rig.settle(held) == Committed()
        await rig.leases.leave(rig.node("w1"))


def gone_pid() -> int:
    """Answer the pid of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid
