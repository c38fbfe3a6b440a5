"""What an operator asks: counts, purge, dead letters."""

from leveret.model.delivery import DeadLetter, Place, Verdict, Whereabouts
from leveret.model.settlement import Committed
from leveret.ports.broker import Capability
from leveret.testing.conformance.case import case
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import QUEUE, encoded, ids, success


class TestCounts:
    @case(needs=(Capability.COUNTS, Capability.DELAY))
    async def test_every_place_is_counted(self, rig: Rig) -> None:
        sent = rig.clock.now()
        await rig.send("a", "b", "c", "d")
        await rig.send("later", not_before=rig.later(100))
        await rig.join()
        a, _ = await rig.claim(credit=2)
        await rig.settle(a, Verdict.REJECT, reason="poison")

        (counts,) = await rig.admin.counts((QUEUE,))

        assert (counts.ready, counts.delayed, counts.claimed, counts.dead) == (2, 1, 1, 1)
        assert counts.queue == QUEUE and counts.oldest is not None and rig.same_moment(counts.oldest, sent)

    @case
    async def test_what_waits_and_what_is_dead_is_counted(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.settle(await rig.one(), Verdict.REJECT, reason="poison")
        await rig.reap("s1")
        await rig.send("b", "c")

        await rig.stands(2, 0, 0, 1)

    @case
    async def test_an_empty_queue_has_no_oldest(self, rig: Rig) -> None:
        await rig.admin.declare((QUEUE,))

        (counts,) = await rig.admin.counts((QUEUE,))

        assert (counts.ready, counts.oldest) == (0, None)

    @case
    async def test_without_names_every_known_queue_is_counted(self, rig: Rig) -> None:
        await rig.admin.declare(("empty",))
        await rig.send("a", queue="x")
        await rig.send("b", queue="y")

        await rig.stands(1, 0, 0, 0, queue="x")
        found = {counts.queue: counts.ready for counts in await rig.admin.counts()}

        expected = {"empty": 0, "x": 1, "y": 1}
        if not rig.has(Capability.COUNTS):
            # A broker that cannot be asked for its queues knows those that the app lists, these among them.
            found = {queue: ready for queue, ready in found.items() if queue in expected}
        assert found == expected

    @case
    async def test_declaring_twice_changes_nothing(self, rig: Rig) -> None:
        await rig.admin.declare((QUEUE,))
        await rig.send("a")
        await rig.admin.declare((QUEUE,))

        await rig.stands(1, 0, 0, 0)


class TestFind:
    @case(needs=(Capability.COUNTS, Capability.DELAY))
    async def test_what_is_claimed_delayed_or_dead_is_found_and_what_is_ready_is_not(self, rig: Rig) -> None:
        due = rig.later(100)
        await rig.send("held", "poison", "waits")
        await rig.send("later", not_before=due)
        await rig.join()
        _, poison = await rig.claim(credit=2)
        await rig.settle(poison, Verdict.REJECT, reason="no good")

        found = await rig.admin.find(("held", "poison", "waits", "later", "nobody"))

        assert found == (
            Whereabouts(place=Place.CLAIMED, queue=QUEUE, node="node-s1"),
            Whereabouts(place=Place.DEAD, queue=QUEUE, reason="no good"),
            None,
            Whereabouts(place=Place.DELAYED, queue=QUEUE, due=due),
            None,
        )


class TestTrace:
    @case(needs=(Capability.COUNTS, Capability.DELAY))
    async def test_one_message_is_told_with_its_place_and_what_it_carries(self, rig: Rig) -> None:
        due = rig.later(100)
        await rig.send("held", "poison", "first", "second")
        await rig.send("later", not_before=due)
        await rig.join()
        _, poison = await rig.claim(credit=2)
        await rig.settle(poison, Verdict.REJECT, reason="no good")

        held, dead, later, second = [await rig.admin.trace(name, 100) for name in ("held", "poison", "later", "second")]

        assert held is not None and (held.place, held.node) == (Place.CLAIMED, "node-s1")
        assert dead is not None and (dead.place, dead.reason) == (Place.DEAD, "no good")
        assert later is not None and (later.place, later.due) == (Place.DELAYED, due)
        assert second is not None and (second.place, second.ahead) == (Place.READY, 1)
        for found, name in ((held, "held"), (dead, "poison"), (later, "later"), (second, "second")):
            assert found.encoded is not None and found.encoded.headers["id"] == name

    @case(needs=(Capability.COUNTS,))
    async def test_what_is_ready_is_not_looked_through_unless_asked_for(self, rig: Rig) -> None:
        await rig.send("waits")

        assert await rig.admin.trace("waits", 0) is None
        assert await rig.admin.trace("nobody", 100) is None

    @case(needs=(Capability.COUNTS, Capability.DELAY))
    async def test_what_is_delayed_is_told_in_the_order_in_which_it_is_due(self, rig: Rig) -> None:
        dues = {name: rig.later(seconds) for name, seconds in (("third", 30), ("first", 20), ("second", 25))}
        for name, due in dues.items():
            await rig.send(name, not_before=due)
        await rig.send("ready")
        await rig.send("elsewhere", queue="other", not_before=rig.later(15))

        found = await rig.admin.delayed((QUEUE, "nobody's"), 2)

        assert [one.encoded.headers["id"] for one in found if one.encoded is not None] == ["first", "second"]
        assert [(one.place, one.queue, one.due) for one in found] == [
            (Place.DELAYED, QUEUE, dues["first"]),
            (Place.DELAYED, QUEUE, dues["second"]),
        ]
        assert [one.queue for one in await rig.admin.delayed((QUEUE, "other"), 100)] == ["other", *[QUEUE] * 3]
        assert await rig.admin.delayed((), 100) == ()

    @case(needs=(Capability.COUNTS, Capability.DELAY))
    async def test_a_sample_names_the_tasks_that_wait(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.send("later", not_before=rig.later(100))

        found = await rig.admin.sample(100)

        assert len(found) == 3
        assert {queue for queue, _ in found} == {QUEUE}


class TestPurge:
    @case
    async def test_purge_forgets_what_is_ready_in_the_named_queues(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.send("elsewhere", queue="other")

        assert await rig.admin.purge((QUEUE,)) == 2

        await rig.stands(0, 0, 0, 0)
        await rig.stands(1, 0, 0, 0, queue="other")
        await rig.join()
        await rig.nothing()

    @case
    async def test_purge_leaves_what_is_claimed(self, rig: Rig) -> None:
        await rig.send("held")
        await rig.join()
        held = await rig.one()

        assert await rig.admin.purge((QUEUE,)) == 0

        assert await rig.settle(held) == Committed()

    @case(needs=(Capability.COUNTS, Capability.DELAY))
    async def test_purge_forgets_what_waits_and_leaves_what_is_claimed(self, rig: Rig) -> None:
        await rig.send("held", "a", "b")
        await rig.send("later", not_before=rig.later(100))
        await rig.send("elsewhere", queue="other")
        await rig.join()
        held = await rig.one()

        assert await rig.admin.purge((QUEUE,)) == 3

        await rig.stands(0, 0, 1, 0)
        await rig.stands(1, 0, 0, 0, queue="other")
        assert await rig.settle(held) == Committed()

    @case
    async def test_purging_nothing_answers_zero(self, rig: Rig) -> None:
        assert await rig.admin.purge((QUEUE, "never heard of")) == 0

    @case
    async def test_a_purged_id_may_be_sent_again(self, rig: Rig) -> None:
        await rig.send("a", once=True)
        await rig.admin.purge((QUEUE,))
        await rig.send("a", once=True)

        await rig.stands(1, 0, 0, 0)


class TestDeadLetters:
    @case
    async def test_a_dead_letter_keeps_everything(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        await rig.reap("s1", await rig.one("s1"))
        await rig.advance(5)
        await rig.settle(await rig.one("s2"), Verdict.REJECT, reason="3 lost processes")
        parked = rig.clock.now()

        (letter,) = await rig.admin.dead()

        assert rig.same_moment(letter.at, parked)
        assert letter == DeadLetter(
            id="a",
            queue=QUEUE,
            reason="3 lost processes",
            at=letter.at,
            encoded=encoded("a"),
            charges=rig.laid,
        )
        assert len(letter.charges) == 1

    @case
    async def test_the_newest_come_first_and_the_limit_holds(self, rig: Rig) -> None:
        await self._park(rig, "a", "b", "c")

        assert [letter.id for letter in await rig.admin.dead(limit=2)] == ["c", "b"]

    @case
    async def test_dead_letters_are_listed_by_queue(self, rig: Rig) -> None:
        await self._park(rig, "a")
        await rig.send("b", queue="other")
        await rig.join("s2", rig.node("w2", queues=("other",)))
        await rig.settle(await rig.one("s2"), Verdict.REJECT, reason="poison")

        assert [letter.id for letter in await rig.admin.dead("other")] == ["b"]
        assert len(await rig.admin.dead()) == 2

    @case
    async def test_a_redriven_letter_is_a_message_again_without_its_past(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join("s1")
        await rig.join("s2")
        await rig.reap("s1", await rig.one("s1"))
        await rig.settle(await rig.one("s2"), Verdict.REJECT, reason="poison")

        assert await rig.admin.redrive(("a", "nobody")) == 1

        assert await rig.admin.dead() == ()
        delivery = await rig.one("s2")
        assert (delivery.encoded, delivery.charges, delivery.count) == (encoded("a"), (), 1)

    @case(needs=Capability.COMMIT)
    async def test_a_redriven_letter_may_have_an_outcome_again(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.join()
        await rig.commit(await rig.one(), Verdict.REJECT, record=success("a", meta=b"first life"), reason="killer")
        await rig.admin.redrive(("a",))

        answer = await rig.commit(await rig.one(), record=success("a", meta=b"second life"))

        assert isinstance(answer, Committed)

    @case(needs=(Capability.COMMIT, Capability.DEDUPE))
    async def test_a_redriven_letter_passes_the_door(self, rig: Rig) -> None:
        await rig.send("a", once=True)
        await rig.join()
        await rig.commit(await rig.one(), Verdict.REJECT, record=success("a"), reason="killer")

        assert await rig.admin.redrive(("a",)) == 1
        assert ids(await rig.claim()) == ["a"]

    @case
    async def test_a_redriven_letter_stands_at_the_end(self, rig: Rig) -> None:
        await self._park(rig, "a")
        await rig.send("b")
        await rig.admin.redrive(("a",))

        assert ids(await rig.claim()) == ["b", "a"]

    @case
    async def test_buried_is_gone(self, rig: Rig) -> None:
        await self._park(rig, "a", "b")

        assert await rig.admin.bury(("a", "nobody")) == 1
        assert [letter.id for letter in await rig.admin.dead()] == ["b"]
        assert await rig.admin.redrive(("a",)) == 0

    async def _park(self, rig: Rig, *names: str) -> None:
        await rig.join()
        for name in names:
            await rig.send(name)
            await rig.settle(await rig.one(), Verdict.REJECT, reason="poison")
            await rig.jump(1)
