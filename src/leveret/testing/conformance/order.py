"""Which message comes first, and when."""

from dataclasses import replace

from leveret.ports.broker import Capability
from leveret.testing.conformance.case import case
from leveret.testing.conformance.fleet import OPTIONS
from leveret.testing.conformance.needs import Trait
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import URGENT, ids

LOW_FIRST = replace(OPTIONS, high_first=False)


class TestOrder:
    @case
    async def test_first_in_is_first_out(self, rig: Rig) -> None:
        names = [f"m{n}" for n in range(40)]
        for name in names:
            await rig.send(name)
        await rig.join()

        assert ids(await rig.drain(25)) + ids(await rig.drain(25)) == names

    @case
    async def test_a_batch_keeps_its_order(self, rig: Rig) -> None:
        names = [f"m{n}" for n in range(40)]
        await rig.send(*names)
        await rig.join()

        assert ids(await rig.drain(40)) == names

    @case
    async def test_one_slot_sees_the_send_order_exactly(self, rig: Rig) -> None:
        names = [f"m{n}" for n in range(20)]
        await rig.send(*names)
        await rig.join()
        seen = []
        for _ in names:
            delivery = await rig.one()
            seen += ids((delivery,))
            await rig.settle(delivery)

        assert seen == names

    @case(needs=Capability.PLACES)
    async def test_given_back_work_returns_to_its_old_place(self, rig: Rig) -> None:
        await rig.send("a", "b", "c", "d")
        await rig.join()
        a, b = await rig.claim(credit=2)
        await rig.give_back(b, a)

        assert ids(await rig.claim()) == ["a", "b", "c", "d"]

    @case(needs=Capability.PLACES)
    async def test_reaped_work_returns_to_its_old_place(self, rig: Rig) -> None:
        await rig.send("a", "b", "c")
        await rig.join("s1")
        await rig.join("s2")
        await rig.claim("s1", 2)
        await rig.reap("s1")

        assert ids(await rig.claim("s2")) == ["a", "b", "c"]


class TestPriorities:
    needs = (Trait.BROKER, Capability.PRIORITY)

    @case
    async def test_the_highest_priority_comes_first(self, rig: Rig) -> None:
        for number, priority in enumerate((0, 5, 9, 1, 5, 0)):
            await self._send(rig, f"{priority}-{number}", priority)
            await rig.jump(1)

        assert await self._claim(rig) == ["9-2", "5-1", "5-4", "1-3", "0-0", "0-5"]

    @case(needs=Trait.EITHER_END, options=LOW_FIRST)
    async def test_the_lowest_comes_first_where_celery_on_redis_has_it_so(self, rig: Rig) -> None:
        await self._send(rig, "five", 5)
        await self._send(rig, "nine", 9)
        await self._send(rig, "zero", 0)

        assert await self._claim(rig) == ["zero", "five", "nine"]

    @case
    async def test_any_priority_up_to_255_is_taken_and_counts_as_the_highest(self, rig: Rig) -> None:
        await self._send(rig, "nine", 9)
        await self._send(rig, "ten", 10)
        await self._send(rig, "eight", 8)
        await self._send(rig, "most", 255)

        assert await self._claim(rig) == ["nine", "ten", "most", "eight"]

    @case(needs=Trait.EITHER_END, options=LOW_FIRST)
    async def test_ten_is_last_with_nine_where_low_is_first(self, rig: Rig) -> None:
        await self._send(rig, "ten", 10)
        await self._send(rig, "nine", 9)
        await self._send(rig, "eight", 8)

        assert await self._claim(rig) == ["eight", "ten", "nine"]

    @case(needs=Capability.LEASE)  # what is pushed to a connection has left the order of the queue
    async def test_priority_is_exact_with_one_slot(self, rig: Rig) -> None:
        await self._send(rig, "old", 0)
        await rig.join(node=rig.node(queues=(URGENT,)))
        await rig.settle(await rig.one())
        await self._send(rig, "low", 1)
        await self._send(rig, "high", 2)

        assert ids((await rig.one(),)) == ["high"]

    @case(needs=Capability.PLACES)
    async def test_priority_counts_across_queues(self, rig: Rig) -> None:
        await rig.send("a", queue="x", priority=1)
        await rig.send("b", queue="y", priority=7)
        await rig.join(node=rig.node(queues=("x", "y")))

        assert ids(await rig.claim()) == ["b", "a"]

    @case(needs=Capability.DELAY)
    async def test_priority_holds_for_what_falls_due(self, rig: Rig) -> None:
        await self._send(rig, "low", 1)
        due = rig.later(5)
        await self._send(rig, "high", 5, not_before=due)
        await rig.past(due, by=2)

        assert await self._claim(rig) == ["high", "low"]

    async def _send(self, rig: Rig, name: str, priority: int, not_before: float | None = None) -> None:
        await rig.send(name, queue=URGENT, priority=priority, not_before=not_before)

    async def _claim(self, rig: Rig) -> list[str]:
        await rig.join(node=rig.node(queues=(URGENT,)))
        return ids(await rig.claim())


class TestDelays:
    needs = (Trait.BROKER, Capability.DELAY)

    @case
    async def test_nothing_is_claimed_early(self, rig: Rig) -> None:
        due = rig.later(10)
        await rig.send("a", not_before=due)
        await rig.join()

        await rig.nothing_before(due, step=0.1)
        await rig.advance(1.2)
        assert ids(await rig.claim()) == ["a"] and rig.clock.now() >= due

    @case
    async def test_a_moment_that_has_passed_is_now(self, rig: Rig) -> None:
        await rig.send("a", not_before=rig.later(-10))
        await rig.join()

        assert ids(await rig.claim()) == ["a"]

    @case
    async def test_delayed_messages_come_as_they_are_due(self, rig: Rig) -> None:
        soon, late = rig.later(10), rig.later(30)
        await rig.send("late", not_before=late)
        await rig.send("soon", not_before=soon)
        await rig.send("now")
        await rig.join()

        assert ids(await rig.claim()) == ["now"]
        await rig.past(soon, by=5)
        assert ids(await rig.claim()) == ["soon"]
        await rig.past(late, by=5)
        assert ids(await rig.claim()) == ["late"]

    @case
    async def test_many_fall_due_at_once(self, rig: Rig) -> None:
        due = rig.later(5)
        await rig.send(*(f"m{n}" for n in range(300)), not_before=due)
        await rig.join()
        await rig.past(due, by=2)

        assert len(await rig.drain(400)) == 300
