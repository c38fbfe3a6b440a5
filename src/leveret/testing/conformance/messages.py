"""Publish, claim, settle, give back: what holds for every message."""

import asyncio

import msgspec

from leveret.errors import LeaseLost
from leveret.model.delivery import Receipt, Return, Verdict
from leveret.model.settlement import Committed, Stale
from leveret.ports.broker import Capability
from leveret.testing.conformance.case import case
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import QUEUE, encoded, ids, posting


class TestMessages:
    @case
    async def test_what_was_published_is_claimed_as_it_was(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()

        delivery = await rig.one()

        assert delivery.encoded == encoded("a")
        assert (delivery.queue, delivery.count, delivery.charges, delivery.suspect) == (QUEUE, 1, (), False)
        assert not delivery.redelivered

    @case
    async def test_any_bytes_survive_as_body(self, rig: Rig) -> None:
        body = bytes(range(256)) * 50
        await rig.broker.publish((posting("a", encoded=encoded("a").__class__(headers={"id": "a"}, body=body)),))
        await rig.join()

        assert (await rig.one()).encoded.body == body

    @case
    async def test_an_empty_batch_is_nothing(self, rig: Rig) -> None:
        await rig.join()
        await rig.broker.publish(())
        await rig.broker.give_back(())

        assert await rig.broker.settle(()) == ()
        await rig.nothing()

    @case
    async def test_the_blocking_face_publishes_too(self, rig: Rig) -> None:
        blocking = rig.main.blocking()
        await asyncio.to_thread(blocking.publish, (posting("a"), posting("b")), timeout=5)
        await rig.join()

        assert ids(await rig.claim()) == ["a", "b"]

    @case
    async def test_one_message_is_handed_to_one_session(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        delivery = await rig.one("s1")

        await rig.nothing("s1")
        await rig.nothing("s2")
        assert await rig.settle(delivery) == Committed()

    @case(needs=Capability.LEASE)
    async def test_what_is_claimed_is_not_claimed_again(self, rig: Rig) -> None:
        await rig.send("a", "b", "c")
        await rig.join("s1")
        await rig.join("s2")

        first, second = await rig.claim("s1", 2), await rig.claim("s2", 2)

        assert ids(first) == ["a", "b"]
        assert ids(second) == ["c"]

    @case
    async def test_no_more_than_the_credit_is_handed_over(self, rig: Rig) -> None:
        await rig.send(*map(str, range(9)))
        await rig.join()

        assert [len(await rig.claim(credit=4)) for _ in range(3)] == [4, 4, 1]
        await rig.nothing()

    @case
    async def test_a_session_sees_only_the_queues_of_its_node(self, rig: Rig) -> None:
        await rig.send("a", queue="other")
        await rig.send("b")
        await rig.join("s1")
        await rig.join("s2", rig.node("w2", queues=("other",)))

        assert ids(await rig.claim("s1")) == ["b"]
        assert ids(await rig.claim("s2")) == ["a"]

    @case(needs=Capability.LEASE)
    async def test_a_claim_sees_only_its_queues(self, rig: Rig) -> None:
        await rig.send("a", queue="other")
        await rig.send("b")
        await rig.join()

        assert ids(await rig.claim()) == ["b"]
        assert ids(await rig.claim(queues=("other",))) == ["a"]

    @case
    async def test_several_queues_are_served_each_in_its_order(self, rig: Rig) -> None:
        await rig.send("a", "c", queue="x")
        await rig.send("b", "d", queue="y")
        await rig.join(node=rig.node(queues=("y", "x")))

        came = ids(await rig.claim())

        assert sorted(came) == ["a", "b", "c", "d"]
        assert came.index("a") < came.index("c") and came.index("b") < came.index("d")

    @case(needs=Capability.PLACES)
    async def test_several_queues_are_served_oldest_first(self, rig: Rig) -> None:
        await rig.send("a", queue="x")
        await rig.send("b", queue="y")
        await rig.send("c", queue="x")
        await rig.join(node=rig.node(queues=("y", "x")))

        assert ids(await rig.claim()) == ["a", "b", "c"]

    @case
    async def test_expired_messages_are_handed_over(self, rig: Rig) -> None:
        await rig.send("a", expires=rig.later(5))
        await rig.join()
        await rig.advance(60)

        assert ids(await rig.claim()) == ["a"], "admit concludes them: a driver must not drop them"

    @case
    async def test_the_bell_rings_for_a_publish_elsewhere(self, rig: Rig) -> None:
        await rig.join()
        await rig.nothing()
        bell = asyncio.create_task(rig.bell("s1", 10))
        await asyncio.sleep(0.01)

        await rig.another().broker.publish((posting("a"),))

        await asyncio.wait_for(bell, 3)
        assert ids(await rig.claim()) == ["a"]

    @case
    async def test_the_bell_gives_up_after_its_time(self, rig: Rig) -> None:
        await rig.join()
        await rig.nothing()

        await asyncio.wait_for(rig.bell("s1", 0.02), 3)


class TestEndings:
    @case
    async def test_an_acknowledged_message_is_gone(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()

        assert await rig.settle(await rig.one()) == Committed()
        await rig.stands(0, 0, 0, 0)
        await rig.reap("s1", back=0)
        await rig.join("s2")
        await rig.nothing("s2")

    @case
    async def test_a_batch_settles_each_by_its_verdict(self, rig: Rig) -> None:
        await rig.send("a", "b", "c")
        await rig.join()
        a, b, c = await rig.claim()

        await rig.settle(a, Verdict.ACK)
        await rig.settle(b, Verdict.RELEASE)
        await rig.settle(c, Verdict.REJECT, reason="poison")

        await rig.stands(1, 0, 0, 1)
        assert ids(await rig.claim()) == ["b"]

    @case
    async def test_a_released_message_counts_one_more(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.settle(await rig.one(), Verdict.RELEASE)

        assert rig.counted(await rig.one(), 2)

    @case
    async def test_a_release_may_leave_the_count_alone(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.settle(await rig.one(), Verdict.RELEASE, counted=False)

        assert (await rig.one()).count == 1

    @case(needs=Capability.DELAY)
    async def test_a_release_with_a_delay_comes_back_no_earlier(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        delivery, due = await rig.one(), rig.later(10)
        await rig.settle(delivery, Verdict.RELEASE, delay=rig.seconds(10))

        await rig.nothing_before(due)
        await rig.advance(0.6)
        delivery = await rig.one()
        assert ids((delivery,)) == ["a"] and rig.clock.now() >= due
        assert delivery.count == 2, "an unknown task's age is told by its count"

    @case
    async def test_given_back_work_is_not_counted(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        for _ in range(3):
            await rig.give_back(await rig.one())

        assert (await rig.one()).count == 1

    @case
    async def test_given_back_work_counts_when_it_had_begun(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.give_back(await rig.one(), counted=True)

        assert rig.counted(await rig.one(), 2)

    @case(needs=Capability.DELAY)
    async def test_given_back_work_may_wait(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        delivery, due = await rig.one(), rig.later(30)
        await rig.give_back(delivery, delay=rig.seconds(30))

        await rig.nothing_before(due)
        await rig.advance(1.5)
        assert ids(await rig.claim()) == ["a"] and rig.clock.now() >= due

    @case
    async def test_giving_back_twice_is_passed_over(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        old = await rig.one()
        await rig.give_back(old)
        new = await rig.one()

        await rig.give_back(old, msgspec.structs.replace(old, receipt=Receipt("no such thing")))

        await rig.nothing()
        assert await rig.settle(new) == Committed()
        await rig.nothing()

    @case(needs=Capability.LEASE)
    async def test_giving_back_what_is_not_ours_is_passed_over(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        old = await rig.one("s1")
        await rig.give_back(old)
        new = await rig.one("s2")

        await rig.broker.give_back((Return(receipt=old.receipt), Return(receipt=Receipt("no such thing"))))

        await rig.stands(0, 0, 1, 0)
        assert await rig.settle(new) == Committed()

    @case
    async def test_each_hand_over_has_a_receipt_of_its_own(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join()
        first = await rig.claim()
        await rig.give_back(*first)
        second = await rig.claim()

        assert len({d.receipt for d in (*first, *second)}) == 4

    @case(needs=Capability.LEASE)
    async def test_a_stale_receipt_settles_nothing(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        old = await rig.one("s1")
        await rig.reap("s1")
        await rig.one("s2")

        for verdict in Verdict:
            assert isinstance(await rig.settle(old, verdict), Stale)
        await rig.stands(0, 0, 1, 0)

    @case
    async def test_settling_twice_is_stale(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        delivery = await rig.one()

        assert await rig.settle(delivery) == Committed()
        assert isinstance(await rig.settle(delivery), Stale)


class TestClaims:
    @case(needs=Capability.LEASE)
    async def test_the_same_number_answers_the_same_deliveries(self, rig: Rig) -> None:
        await rig.send("a", "b", "c")
        await rig.join()

        first = await rig.claim(credit=2, number=7)
        again = await rig.claim(credit=2, number=7)

        assert again == first
        await rig.stands(1, 0, 2, 0)

    @case
    async def test_the_next_number_answers_new_ones(self, rig: Rig) -> None:
        await rig.send("a", "b", "c")
        await rig.join()

        assert ids(await rig.claim(credit=2)) == ["a", "b"]
        assert ids(await rig.claim(credit=2)) == ["c"]

    @case(needs=Capability.LEASE)
    async def test_numbers_belong_to_their_session(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1")
        await rig.join("s2")

        assert ids(await rig.claim("s1", 1, number=1)) == ["a"]
        assert ids(await rig.claim("s2", 1, number=1)) == ["b"]

    @case(needs=Capability.LEASE)
    async def test_a_replayed_answer_has_no_dead_receipts(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.claim(number=1)
        await rig.reconcile("s1")

        assert await rig.claim(number=1) == ()
        assert ids(await rig.claim(number=2)) == ["a"]

    @case(needs=Capability.LEASE)
    async def test_an_unknown_session_may_not_claim(self, rig: Rig) -> None:
        await rig.send("a")
        try:
            await rig.claim("nobody")
        except LeaseLost:
            return
        raise AssertionError("a session that was never registered got an answer")

    @case(needs=Capability.LEASE)
    async def test_a_reaped_session_may_not_claim(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.reap("s1")
        try:
            await rig.claim("s1")
        except LeaseLost:
            return
        raise AssertionError("a reaped session got an answer")

    @case(needs=Capability.LEASE)
    async def test_a_lost_reply_is_reconciled(self, rig: Rig) -> None:
        await rig.send("a", "b", "c")
        await rig.join("s1")
        known = await rig.claim(credit=1)
        await rig.claim(credit=2)  # its reply is lost on the way

        back = await rig.reconcile("s1", known[0].receipt)

        assert sorted(ids(back)) == ["b", "c"]
        await rig.stands(2, 0, 1, 0)
        again = await rig.claim()
        assert [(d.encoded.headers["id"], d.count, d.charges) for d in again] == [("b", 2, ()), ("c", 2, ())]

    @case(needs=Capability.LEASE)
    async def test_reconciling_what_is_all_known_changes_nothing(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join("s1")
        held = await rig.claim()

        assert await rig.reconcile("s1", *(d.receipt for d in held)) == ()
        await rig.stands(0, 0, 2, 0)

    @case(needs=Capability.LEASE)
    async def test_receipts_the_store_does_not_know_are_passed_over(self, rig: Rig) -> None:
        await rig.join("s1")

        assert await rig.reconcile("s1", Receipt("long gone")) == ()
