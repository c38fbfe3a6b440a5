"""Which message comes first, and when."""

from dataclasses import replace

from leveret.model.delivery import Return
from leveret.testing.conformance.rig import OPTIONS, Rig, case, case_with, ids

LOW_FIRST = replace(OPTIONS, high_first=False)


class TestOrder:
    @case
    async def test_first_in_is_first_out(self, rig: Rig) -> None:
        names = [f"m{n}" for n in range(40)]
        for name in names:
            await rig.send(name)
        await rig.join()

        assert ids(await rig.claim(credit=25)) + ids(await rig.claim(credit=25)) == names

    @case
    async def test_a_batch_keeps_its_order(self, rig: Rig) -> None:
        names = [f"m{n}" for n in range(40)]
        await rig.send(*names)
        await rig.join()

        assert ids(await rig.claim(credit=40)) == names

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

    @case
    async def test_given_back_work_returns_to_its_old_place(self, rig: Rig) -> None:
        await rig.send("a", "b", "c", "d")
        await rig.join()
        a, b = await rig.claim(credit=2)
        await rig.broker.give_back((Return(receipt=b.receipt), Return(receipt=a.receipt)))

        assert ids(await rig.claim()) == ["a", "b", "c", "d"]

    @case
    async def test_reaped_work_returns_to_its_old_place(self, rig: Rig) -> None:
        await rig.send("a", "b", "c")
        await rig.join("s1")
        await rig.join("s2")
        await rig.claim("s1", 2)
        await rig.reap("s1")

        assert ids(await rig.claim("s2")) == ["a", "b", "c"]

    @case
    async def test_the_highest_priority_comes_first(self, rig: Rig) -> None:
        for priority in (0, 5, 9, 1, 5, 0):
            await rig.send(f"{priority}-{rig.clock.elapsed}", priority=priority)
            rig.clock.advance(1)
        await rig.join()

        assert ids(await rig.claim()) == ["9-2.0", "5-1.0", "5-4.0", "1-3.0", "0-0.0", "0-5.0"]

    @case_with(LOW_FIRST)
    async def test_the_lowest_comes_first_where_celery_on_redis_has_it_so(self, rig: Rig) -> None:
        await rig.send("five", priority=5)
        await rig.send("nine", priority=9)
        await rig.send("zero")
        await rig.join()

        assert ids(await rig.claim()) == ["zero", "five", "nine"]

    @case
    async def test_any_priority_up_to_255_is_taken_and_counts_as_the_highest(self, rig: Rig) -> None:
        await rig.send("nine", priority=9)
        await rig.send("ten", priority=10)
        await rig.send("eight", priority=8)
        await rig.send("most", priority=255)
        await rig.join()

        assert ids(await rig.claim()) == ["nine", "ten", "most", "eight"]

    @case_with(LOW_FIRST)
    async def test_ten_is_last_with_nine_where_low_is_first(self, rig: Rig) -> None:
        await rig.send("ten", priority=10)
        await rig.send("nine", priority=9)
        await rig.send("eight", priority=8)
        await rig.join()

        assert ids(await rig.claim()) == ["eight", "ten", "nine"]

    @case
    async def test_priority_is_exact_with_one_slot(self, rig: Rig) -> None:
        await rig.send("old")
        await rig.join()
        await rig.settle(await rig.one())
        await rig.send("low", priority=1)
        await rig.send("high", priority=2)

        assert ids((await rig.one(),)) == ["high"]

    @case
    async def test_priority_counts_across_queues(self, rig: Rig) -> None:
        await rig.send("a", queue="x", priority=1)
        await rig.send("b", queue="y", priority=7)
        await rig.join()

        assert ids(await rig.claim(queues=("x", "y"))) == ["b", "a"]


class TestDelays:
    @case
    async def test_nothing_is_claimed_early(self, rig: Rig) -> None:
        await rig.send("a", not_before=rig.clock.now() + 10)
        await rig.join()

        for _ in range(99):
            await rig.advance(0.1)
            assert await rig.claim() == ()
        await rig.advance(1.2)
        assert ids(await rig.claim()) == ["a"]

    @case
    async def test_a_moment_that_has_passed_is_now(self, rig: Rig) -> None:
        await rig.send("a", not_before=rig.clock.now() - 10)
        await rig.join()

        assert ids(await rig.claim()) == ["a"]

    @case
    async def test_delayed_messages_come_as_they_are_due(self, rig: Rig) -> None:
        now = rig.clock.now()
        await rig.send("late", not_before=now + 30)
        await rig.send("soon", not_before=now + 10)
        await rig.send("now")
        await rig.join()

        assert ids(await rig.claim()) == ["now"]
        await rig.advance(15)
        assert ids(await rig.claim()) == ["soon"]
        await rig.advance(20)
        assert ids(await rig.claim()) == ["late"]

    @case
    async def test_many_fall_due_at_once(self, rig: Rig) -> None:
        await rig.send(*(f"m{n}" for n in range(300)), not_before=rig.clock.now() + 5)
        await rig.join()
        await rig.advance(7)

        assert len(await rig.claim(credit=400)) == 300

    @case
    async def test_priority_holds_for_what_falls_due(self, rig: Rig) -> None:
        await rig.send("low", priority=1)
        await rig.send("high", priority=5, not_before=rig.clock.now() + 5)
        await rig.join()
        await rig.advance(7)

        assert ids(await rig.claim()) == ["high", "low"]

    @case
    async def test_expired_messages_are_handed_over(self, rig: Rig) -> None:
        await rig.send("a", expires=rig.clock.now() + 5)
        await rig.join()
        await rig.advance(60)

        assert ids(await rig.claim()) == ["a"], "admit concludes them: a driver must not drop them"
