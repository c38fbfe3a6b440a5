"""Lanes: within a queue and a priority each takes its turn (`Posting.lane`)."""

from leveret.model.delivery import Verdict
from leveret.ports.broker import Capability
from leveret.testing.conformance.case import case
from leveret.testing.conformance.needs import Trait
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import QUEUE, ids, posting, success


class TestLanes:
    needs = (Trait.BROKER, Capability.LANES)

    @case
    async def test_lanes_take_turns_and_each_is_first_in_first_out(self, rig: Rig) -> None:
        await fill(rig, a=5, b=2, c=1)
        await rig.join()

        assert ids(await rig.claim()) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]

    @case
    async def test_whose_turn_it_is_is_remembered_between_claims_and_sessions(self, rig: Rig) -> None:
        await fill(rig, a=4, b=4, c=2)
        await rig.join("s1")
        await rig.join("s2")

        found = [ids((await rig.one(f"s{1 + turn % 2}"),))[0] for turn in range(10)]

        assert found == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "a3", "b3"]

    @case
    async def test_a_newcomer_has_its_turn_within_one_round(self, rig: Rig) -> None:
        await fill(rig, a=300)
        await rig.join()
        await rig.drain(150)
        await fill(rig, b=20)

        found = ids(await rig.claim(credit=10))

        assert sum(name.startswith("b") for name in found) in (4, 5, 6)

    @case
    async def test_what_has_no_lane_is_one_more(self, rig: Rig) -> None:
        await rig.send(*(f"plain{n}" for n in range(4)))
        await fill(rig, a=2, b=3)
        await rig.join()

        found = ids(await rig.claim(credit=9))

        assert sorted(found[:3]) == ["a0", "b0", "plain0"] and sorted(found[3:6]) == ["a1", "b1", "plain1"]
        assert sorted(found[6:]) == ["b2", "plain2", "plain3"]

    @case
    async def test_what_has_no_lane_has_its_turn_also_one_by_one(self, rig: Rig) -> None:
        await rig.send(*(f"plain{n}" for n in range(4)))
        await fill(rig, a=4)
        await rig.join()

        found = [ids((await rig.one(),))[0] for _ in range(8)]

        assert [sum(name.startswith("plain") for name in found[:end]) for end in (2, 4, 6, 8)] == [1, 2, 3, 4]

    @case
    async def test_priorities_come_before_lanes(self, rig: Rig) -> None:
        await fill(rig, a=3)
        await rig.send("a9", "a10", lane="a", priority=7)
        await rig.send("b9", lane="b", priority=7)
        await rig.join()

        assert ids(await rig.claim()) == ["a9", "b9", "a10", "a0", "a1", "a2"]

    @case
    async def test_queues_keep_their_lanes_apart(self, rig: Rig) -> None:
        await fill(rig, a=4, b=2)
        await fill(rig, queue="other", b=4, a=2)
        await rig.join("s1")
        await rig.join("s2", rig.node("w2", queues=("other",)))

        assert ids(await rig.claim("s1")) == ["a0", "b0", "a1", "b1", "a2", "a3"]
        assert ids(await rig.claim("s2")) == ["b0", "a0", "b1", "a1", "b2", "b3"]

    @case
    async def test_a_worker_of_several_queues_gets_all_of_them(self, rig: Rig) -> None:
        await fill(rig, a=4, b=2)
        await rig.send("x0", "x1", queue="other")
        await fill(rig, queue="third", a=2)
        await rig.join(node=rig.node(queues=(QUEUE, "other", "third")))

        found = ids(await rig.claim(credit=10))

        assert sorted(found) == ["a0", "a0", "a1", "a1", "a2", "a3", "b0", "b1", "x0", "x1"]

    @case
    async def test_hundreds_of_lanes_have_one_turn_each(self, rig: Rig) -> None:
        for turn in range(2):
            await rig.broker.publish(tuple(posting(f"{lane}-{turn}", lane=f"t{lane}") for lane in range(300)))
        await rig.join()

        first = ids(await rig.drain(300))

        assert sorted(first) == sorted(f"{lane}-0" for lane in range(300))

    @case
    async def test_a_lane_may_have_any_printable_name(self, rig: Rig) -> None:
        names = ("a b", "100%", "ü:ß", "x" * 128, ":", "'; DROP", "-1", "\\")
        for number, lane in enumerate(names):
            await rig.send(f"m{number}", lane=lane)
        await rig.join()

        deliveries = await rig.claim(credit=10)
        assert ids(deliveries) == [f"m{number}" for number in range(len(names))]
        await rig.give_back(*deliveries)
        assert sorted(ids(await rig.claim(credit=10))) == [f"m{number}" for number in range(len(names))]

    @case
    async def test_a_claim_that_is_made_again_answers_the_same(self, rig: Rig) -> None:
        await fill(rig, a=3, b=3)
        await rig.join()
        first = await rig.claim(credit=3, number=1)

        assert ids(await rig.claim(credit=3, number=1)) == ids(first)
        assert len(await rig.claim(credit=9, number=2)) == 3

    @case
    async def test_a_sleeper_hears_of_work_in_a_lane(self, rig: Rig) -> None:
        await rig.join()
        await rig.nothing()
        await fill(rig, a=1)
        await rig.bell("s1", 5)

        assert ids(await rig.claim()) == ["a0"]


class TestComingBackToALane:
    needs = (Trait.BROKER, Capability.LANES)

    @case
    async def test_what_was_given_back_is_the_first_of_its_lane(self, rig: Rig) -> None:
        await fill(rig, a=3, b=3)
        await rig.join()
        await rig.give_back(*await rig.claim(credit=2))

        found = ids(await rig.claim())

        assert in_lane(found, "a") == ["a0", "a1", "a2"] and in_lane(found, "b") == ["b0", "b1", "b2"]
        assert sorted(found[:2]) == ["a0", "b0"]

    @case
    async def test_what_a_dead_process_held_goes_back_to_its_lane(self, rig: Rig) -> None:
        await fill(rig, a=4, b=4)
        await rig.join("s1")
        await rig.join("s2")
        await rig.claim("s1", 4)
        await rig.reap("s1")

        found = ids(await rig.claim("s2"))

        assert in_lane(found, "a") == [f"a{n}" for n in range(4)] and in_lane(found, "b") == [f"b{n}" for n in range(4)]
        assert sorted(found[:4]) == ["a0", "a1", "b0", "b1"]

    @case(needs=Capability.DELAY)
    async def test_what_falls_due_waits_for_the_turn_of_its_lane(self, rig: Rig) -> None:
        due = rig.later(5)
        await fill(rig, a=20, not_before=due)
        await rig.join()
        await rig.past(due, by=2)
        await fill(rig, b=3)

        found = ids(await rig.claim(credit=7))

        assert sorted(in_lane(found, "b")) == ["b0", "b1", "b2"] and len(in_lane(found, "a")) == 4

    @case(needs=Capability.DELAY)
    async def test_what_is_released_with_a_delay_comes_back_to_its_lane(self, rig: Rig) -> None:
        await fill(rig, a=2, b=2)
        await rig.join()
        for delivery in await rig.claim(credit=2):
            await rig.settle(delivery, Verdict.RELEASE, delay=rig.seconds(1))
        await rig.advance(3)

        found = ids(await rig.claim())

        rounds = [sorted(name[0] for name in found[at : at + 2]) for at in (0, 2)]
        assert rounds == [["a", "b"], ["a", "b"]] and sorted(found) == ["a0", "a1", "b0", "b1"]

    @case(needs=Capability.COMMIT)
    async def test_what_follows_takes_its_turn(self, rig: Rig) -> None:
        await fill(rig, a=5)
        await rig.join()
        last = await rig.one()

        follow = (posting("b0", lane="b", once=True), posting("a9", lane="a", once=True))
        _, deliveries = await rig.commit_and_claim(last, record=success("a0"), follow=follow, credit=6)

        found = ids(deliveries)
        assert in_lane(found, "a") == ["a1", "a2", "a3", "a4", "a9"] and "b0" in found[:2]

    @case
    async def test_a_suspect_is_found_by_the_quarantine(self, rig: Rig) -> None:
        await fill(rig, a=2, b=1)
        await rig.join("s1")
        await rig.join("q1", quarantine=True)
        await rig.claim("s1", 3)
        await rig.reap("s1", suspect_others=True)

        assert sorted(ids(await rig.claim("q1", suspects=True))) == ["a0", "a1", "b0"]

    @case
    async def test_a_redriven_letter_is_in_its_lane_again(self, rig: Rig) -> None:
        await fill(rig, a=1)
        await rig.join()
        await rig.settle(await rig.one(), Verdict.REJECT, reason="poison")
        await fill(rig, b=30)

        assert await rig.admin.redrive(("a0",)) == 1

        assert "a0" in ids(await rig.claim(credit=3))


class TestCountingLanes:
    needs = (Trait.BROKER, Capability.LANES)

    @case(needs=(Capability.COUNTS, Capability.DELAY))
    async def test_the_counts_are_those_of_the_whole_queue(self, rig: Rig) -> None:
        await fill(rig, a=3, b=2)
        await rig.send("plain")
        await fill(rig, c=2, not_before=rig.later(100))
        await rig.join()
        held = await rig.claim(credit=3)

        await rig.stands(3, 2, 3, 0)
        await rig.settle(held[0], Verdict.REJECT, reason="poison")
        await rig.give_back(held[1])
        await rig.stands(4, 2, 1, 1)
        assert [counts.queue for counts in await rig.admin.counts()] == [QUEUE]

    @case
    async def test_the_oldest_message_is_found_in_any_lane(self, rig: Rig) -> None:
        sent = rig.clock.now()
        await fill(rig, a=1)
        await rig.advance(50)
        await fill(rig, b=2)
        await rig.send("plain")

        (counts,) = await rig.admin.counts((QUEUE,))

        assert counts.oldest is not None and rig.same_moment(counts.oldest, sent)

    @case(needs=Capability.DELAY)
    async def test_a_purge_leaves_nothing_of_any_lane(self, rig: Rig) -> None:
        await fill(rig, a=30, b=1)
        await fill(rig, c=1, not_before=rig.later(100))
        await fill(rig, queue="other", a=1)

        assert await rig.admin.purge((QUEUE,)) == 32

        await rig.stands(0, 0, 0, 0)
        await rig.stands(1, 0, 0, 0, queue="other")

    @case
    async def test_a_purged_backlog_is_no_debt(self, rig: Rig) -> None:
        await fill(rig, a=100, b=1)
        await rig.admin.purge((QUEUE,))
        await fill(rig, b=3, a=3)
        await rig.join()

        found = ids(await rig.claim())

        assert sorted(found[:2]) == ["a0", "b0"] and sorted(found[2:4]) == ["a1", "b1"]

    @case
    async def test_nothing_is_left_of_lanes_that_ran_empty(self, rig: Rig) -> None:
        for _ in range(3):
            await fill(rig, a=3, b=2)
            await rig.join()
            for delivery in await rig.claim():
                await rig.settle(delivery)
            await rig.nothing()
            await rig.stands(0, 0, 0, 0)


async def fill(rig: Rig, *, queue: str = QUEUE, not_before: float | None = None, **lanes: int) -> None:
    """Send so many messages of each lane, `a0`, `a1` ..., one lane after the other."""
    for lane, count in lanes.items():
        sent = (posting(f"{lane}{n}", queue=queue, lane=lane, not_before=not_before) for n in range(count))
        await rig.broker.publish(tuple(sent))


def in_lane(found: list[str], lane: str) -> list[str]:
    return [name for name in found if name.startswith(lane)]
