"""A settlement and the next claim in one transaction: what a chain runs on."""

from typing import Any

from leveret.model.settlement import Committed, Stale
from leveret.ports.broker import Capability
from leveret.testing.conformance.case import case
from leveret.testing.conformance.needs import Trait
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import ids, posting, revoked, success


class TestCommitAndClaim:
    needs = (Trait.BROKER, Trait.STORE, Capability.COMMIT)

    @case
    async def test_what_follows_is_claimed_with_the_commit(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        last = await rig.one()

        answers, deliveries = await rig.commit_and_claim(last, record=success("a"), follow=(posting("b", once=True),))

        assert (answers, ids(deliveries)) == ((Committed(),), ["b"])
        await rig.nothing()
        await rig.commit(deliveries[0], record=success("b"))
        await rig.reap("s1", back=0)

    @case
    async def test_it_overtakes_nothing_that_waits(self, rig: Rig) -> None:
        await rig.send("a", "older", "oldest too")
        await rig.join()
        last = (await rig.claim(credit=1))[0]

        _, deliveries = await rig.commit_and_claim(last, follow=(posting("b", once=True),), credit=2)

        assert ids(deliveries) == ["older", "oldest too"]
        assert ids(await rig.claim()) == ["b"]

    @case(needs=Capability.PRIORITY)
    async def test_the_urgent_comes_first(self, rig: Rig) -> None:
        await rig.send("a", "plain")
        await rig.join()
        last = (await rig.claim(credit=1))[0]

        _, deliveries = await rig.commit_and_claim(last, follow=(posting("b", once=True, priority=9),))

        assert ids(deliveries) == ["b"]

    @case
    async def test_what_was_revoked_before_it_was_put_in_is_marked_there_too(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        last = await rig.one()
        await rig.store(revoked("b"))

        _, (delivery,) = await rig.commit_and_claim(last, record=success("a"), follow=(posting("b", once=True),))

        assert delivery.revoked

    @case
    async def test_asked_again_it_answers_the_same_deliveries(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        last = await rig.one()
        what: dict[str, Any] = {"record": success("a"), "follow": (posting("b", once=True),)}

        _, first = await rig.commit_and_claim(last, **what)
        _, again = await rig.commit_and_claim(last, **what, repeat=True)

        assert [delivery.receipt for delivery in again] == [delivery.receipt for delivery in first]
        await rig.stands(0, 0, 1, 0)

    @case
    async def test_what_is_refused_is_followed_by_nothing_but_the_claim_is_made(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join()
        last = (await rig.claim(credit=1))[0]
        await rig.store(success("a"))

        answers, deliveries = await rig.commit_and_claim(
            last, record=success("a"), follow=(posting("never"),), credit=5
        )

        assert [type(answer) for answer in answers] == [Stale]
        assert ids(deliveries) == ["b"]

    @case(needs=Capability.LEASE)
    async def test_of_a_session_that_is_gone_nothing_is_claimed(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.join()
        last = (await rig.claim(credit=1))[0]
        await rig.reap("s1")

        answers, deliveries = await rig.commit_and_claim(last, record=success("a"), credit=5)

        assert [type(answer) for answer in answers] == [Stale]
        assert deliveries == ()
