"""The fused settlement: outcome, seat, follow-ups and verdict of one delivery are one transaction."""

import asyncio
from typing import Any

from leveret.model.delivery import Verdict
from leveret.model.settlement import NOTHING, Commitment, Committed, Joined, Released, Stale
from leveret.ports.broker import Capability
from leveret.testing.conformance.case import case
from leveret.testing.conformance.needs import Trait
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import ids, posting, retry, revoked, seat, success, tombstone


class TestCommit:
    needs = (Trait.BROKER, Trait.STORE, Capability.COMMIT)

    @case
    async def test_everything_of_a_commitment_is_there(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()

        answer = await rig.commit(
            await rig.one(), record=success("a"), seat=seat(0, b"v", size=1), follow=(posting("b", once=True),)
        )

        assert answer == Committed(Joined(join="j", complete=True, values=(b"v",)))
        assert (await rig.backend.get(["a"]))[0] is not None
        assert ids(await rig.claim()) == ["b"]
        await rig.reap("s1", back=1)  # only b is held: a is settled

    @case
    async def test_a_commitment_may_have_nothing_but_its_verdict(self, rig: Rig) -> None:
        await rig.send("a", "b", "c")
        await rig.join()
        a, b, c = await rig.claim()

        answers = [await rig.commit(a), await rig.commit(b, Verdict.RELEASE), await rig.commit(c, Verdict.REJECT)]

        assert answers == [Committed()] * 3
        await rig.stands(1, 0, 0, 1)

    @case(needs=Capability.PLACES)
    async def test_a_batch_commits_each_for_itself(self, rig: Rig) -> None:
        await rig.send("a", "b", "c")
        await rig.join()
        a, b, c = await rig.claim()
        await rig.give_back(b)

        answers = await rig.main.committer.commit(
            tuple(
                Commitment(receipt=d.receipt, verdict=Verdict.ACK, record=success(name), follow=(posting(f"{name}+"),))
                for d, name in ((a, "a"), (b, "b"), (c, "c"))
            )
        )

        assert [type(answer) for answer in answers] == [Committed, Stale, Committed]
        assert ids(await rig.claim()) == ["b", "a+", "c+"]

    @case
    async def test_what_the_last_seat_releases_is_part_of_the_commitment(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join()
        asked: list[Joined] = []

        def release(joined: Joined) -> Released:
            asked.append(joined)
            return Released(follow=(posting("body", once=True),)) if joined.complete else NOTHING

        for place, delivery in enumerate(await rig.claim()):
            await rig.commit(delivery, seat=seat(place, b"%d" % place, size=2, release=release))

        assert [joined.values for joined in asked] == [(), (b"0", b"1")]
        assert ids(await rig.claim()) == ["body"]

    @case(needs=Trait.CLOSES_JOINS)
    async def test_what_a_failed_seat_means_to_others_is_part_of_the_commitment(self, rig: Rig) -> None:
        """Outcomes of what will never run, each fenced by itself; and the seats of joins further out."""
        await rig.send("a")
        await rig.join()
        await rig.store(success("known", meta=b"first"))
        lost = Released(records=(success("further out"),))
        outer = seat(0, b"", join="outer", size=1, failed=True, release=lambda joined: lost)
        records = (success("known", meta=b"second"), success("body"))
        told = Released(records=records, follow=(posting("errback"),), seats=(outer,))

        answer = await rig.commit(
            await rig.one(),
            record=success("a"),
            also=(success("rest"), success("known", meta=b"third")),
            seat=seat(0, b"why", size=2, failed=True, release=lambda joined: told),
        )

        assert isinstance(answer, Committed)
        found = await rig.backend.get(["rest", "body", "further out", "known"])
        assert [record and record.meta for record in found] == [*[b'{"result": 3}'] * 3, b"first"]
        assert ids(await rig.claim()) == ["errback"]

    @case
    async def test_nothing_is_released_by_a_commitment_that_is_refused(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.store(success("a"))
        body = Released(follow=(posting("body"),))

        await rig.commit(await rig.one(), record=success("a"), seat=seat(0, b"v", size=1, release=lambda joined: body))

        await rig.nothing()

    @case(needs=Capability.LEASE)
    async def test_a_stale_receipt_writes_nothing(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        old = await rig.one("s1")
        await rig.reap("s1")

        answer = await rig.commit(old, record=success("a"), seat=seat(0, b"v", size=1), follow=(posting("b"),))

        assert isinstance(answer, Stale)
        assert await rig.backend.get(["a"]) == (None,)
        assert ids(await rig.claim("s2")) == ["a"]
        (joined,) = await rig.backend.arrive((seat(0, b"later", size=1),))
        assert joined.values == (b"later",)

    @case
    async def test_a_terminal_record_refuses_the_whole_commitment(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.store(success("a", meta=b"first"))

        answer = await rig.commit(
            await rig.one(), record=success("a", meta=b"second"), seat=seat(0, b"v", size=2), follow=(posting("b"),)
        )

        assert isinstance(answer, Stale)
        (found,) = await rig.backend.get(["a"])
        assert found is not None and found.meta == b"first"
        await rig.nothing()
        (joined,) = await rig.backend.arrive((seat(0, b"mine", size=2),))
        assert not joined.complete

    @case
    async def test_a_later_attempt_refuses_an_earlier_one(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        delivery = await rig.one()
        await rig.store(retry("a", 3))

        assert isinstance(await rig.commit(delivery, record=success("a", 2), follow=(posting("b"),)), Stale)
        await rig.nothing()

    @case
    async def test_a_refused_copy_can_still_be_acknowledged(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        delivery = await rig.one()
        await rig.store(success("a"))
        await rig.commit(delivery, record=success("a"))

        await rig.settle(delivery)

        await rig.stands(0, 0, 0, 0)

    @case
    async def test_the_same_commitment_twice_is_stale_and_changes_nothing(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        delivery = await rig.one()
        options: dict[str, Any] = {"record": success("a"), "follow": (posting("b", once=True),)}
        assert isinstance(await rig.commit(delivery, **options), Committed)

        assert isinstance(await rig.commit(delivery, **options), Stale)
        assert ids(await rig.claim()) == ["b"]

    @case(needs=Capability.DELAY)
    async def test_a_retry_follows_its_predecessor(self, rig: Rig) -> None:
        await rig.send("a", once=True)
        await rig.join()
        again = posting("a", attempt=1, once=True, not_before=rig.later(5))

        answer = await rig.commit(await rig.one(), record=retry("a"), follow=(again,))

        assert isinstance(answer, Committed)
        await rig.stands(0, 1, 0, 0)
        await rig.advance(7)
        assert ids(await rig.claim()) == ["a"]

    @case
    async def test_a_retry_follows_in_the_four_steps_too(self, rig: Rig) -> None:
        await rig.send("a", once=True)
        await rig.join()
        delivery = await rig.one()

        assert await rig.store(retry("a")) == (True,)
        await rig.broker.publish((posting("a", attempt=1, once=True),))
        await rig.settle(delivery)

        await rig.stands(1, 0, 0, 0)

    @case
    async def test_a_wait_ends_with_the_commit(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        delivery = await rig.one()
        wait = asyncio.create_task(rig.another().backend.wait(["a"], 10))
        await asyncio.sleep(0.01)

        await rig.commit(delivery, record=success("a", reply_to=rig.main.blocking().reply_address()))

        (found,) = await asyncio.wait_for(wait, 3)
        assert found is not None and found.terminal

    @case
    async def test_follow_ups_keep_their_order(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.commit(await rig.one(), follow=tuple(posting(f"f{n}") for n in range(5)))

        assert ids(await rig.claim()) == [f"f{n}" for n in range(5)]


class TestTheDoor:
    needs = (Trait.BROKER, Capability.DEDUPE)

    @case
    async def test_a_copy_of_a_waiting_message_is_stopped(self, rig: Rig) -> None:
        await rig.send("a", once=True)
        await rig.send("a", once=True)
        await rig.send("a", "a", once=True)

        await rig.stands(1, 0, 0, 0)

    @case
    async def test_a_copy_of_a_claimed_message_is_stopped(self, rig: Rig) -> None:
        await rig.send("a", once=True)
        await rig.join()
        await rig.one()
        await rig.send("a", once=True)

        await rig.stands(0, 0, 1, 0)

    @case(needs=Capability.DELAY)
    async def test_a_copy_of_a_delayed_message_is_stopped(self, rig: Rig) -> None:
        await rig.send("a", once=True, not_before=rig.later(50))
        await rig.send("a", once=True)

        await rig.stands(0, 1, 0, 0)

    @case(needs=Capability.COMMIT)
    async def test_a_tombstone_stops_a_copy(self, rig: Rig) -> None:
        await rig.send("a", once=True)
        await rig.join()
        await rig.commit(await rig.one(), record=tombstone("a"))
        await rig.send("a", once=True)

        await rig.stands(0, 0, 0, 0)

    @case(needs=Trait.STORE)
    async def test_a_terminal_record_stops_a_copy(self, rig: Rig) -> None:
        await rig.store(success("a"))
        await rig.send("a", once=True)

        await rig.stands(0, 0, 0, 0)

    @case(needs=Capability.COMMIT)
    async def test_a_follow_up_that_exists_is_dropped_silently(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join()
        a, b = await rig.claim()

        for delivery, name in ((a, "a"), (b, "b")):
            answer = await rig.commit(delivery, record=success(name), follow=(posting("next", once=True),))
            assert isinstance(answer, Committed)

        await rig.stands(1, 0, 0, 0)

    @case
    async def test_a_resend_of_a_waiting_message_adds_nothing(self, rig: Rig) -> None:
        """After `PublishUnknown` the same postings may be sent again."""
        await rig.send("a", "b")
        await rig.send("a", "b")

        await rig.stands(2, 0, 0, 0)

    @case(needs=Trait.STORE)
    async def test_a_retry_is_published_once(self, rig: Rig) -> None:
        """The holder of attempt 0 died between publishing the retry and settling: the next one replays it."""
        await rig.send("a")
        await rig.join()
        await rig.one()
        await rig.store(retry("a"))
        for _ in range(2):
            await rig.send("a", attempt=1, once=True)

        await rig.stands(1, 0, 1, 0)

    @case(needs=Trait.STORE)
    async def test_a_replayed_retry_is_stopped_when_it_has_ended(self, rig: Rig) -> None:
        await rig.store(retry("a"))
        await rig.store(tombstone("a", 1))
        await rig.send("a", attempt=1, once=True)

        await rig.stands(0, 0, 0, 0)

    @case(needs=Trait.STORE)
    async def test_a_replayed_retry_is_stopped_when_it_was_retried_itself(self, rig: Rig) -> None:
        await rig.store(retry("a", 1))
        await rig.send("a", attempt=1, once=True)
        await rig.stands(0, 0, 0, 0)

        await rig.send("a", attempt=2, once=True)
        await rig.stands(1, 0, 0, 0)

    @case(needs=(Trait.STORE, Capability.LEASE))
    async def test_a_revocation_stops_nothing(self, rig: Rig) -> None:
        """It may come before the message does; whoever claims that ends it for those who wait behind it."""
        await rig.store(revoked("a"))
        await rig.send("a", once=True)
        await rig.stands(1, 0, 0, 0)

        await rig.join()
        (delivery,) = await rig.claim()
        assert delivery.revoked

    @case(needs=Trait.STORE)
    async def test_different_ids_pass(self, rig: Rig) -> None:
        await rig.send("a", "b", once=True)
        await rig.store(success("c"))
        await rig.send("d", once=True)

        await rig.stands(3, 0, 0, 0)
