"""What a keeper of unique keys must do."""

import asyncio

from leveret.model.limiting.gate import Grant, Passed, SlotBound, Superseded, UniqueBound, Wait, Wish
from leveret.testing.conformance.limits.rig import PENDING_SECONDS, Rig, case

UNIQUE = UniqueBound("k")
AT_START = UniqueBound("k", until_start=True)


class TestUniqueKeys:
    @case
    async def test_one_wins_and_the_others_hear_of_it(self, rig: Rig) -> None:
        assert rig.wish("a") == Grant(id="a", won=True)

        assert rig.wish("b") == Grant(id="a", won=False, pending=True)
        rig.sent("a")
        assert rig.wish("b") == Grant(id="a", won=False)
        assert rig.wish("b", key="other") == Grant(id="b", won=True)

    @case
    async def test_a_batch_is_asked_in_order_and_on_any_face(self, rig: Rig) -> None:
        wishes = tuple(Wish(key="k", id=name, seconds=60.0) for name in "ab")

        assert [grant.id for grant in rig.keys.wish(wishes, 1.0)] == ["a", "a"]
        keys = rig.other.async_keys(inline=False)
        assert [grant.won for grant in await keys.wish(wishes, 1.0)] == [True, False]
        await keys.unsent(wishes)
        assert [grant.id for grant in await keys.wish(wishes[1:], 1.0)] == ["b"]
        await keys.sent(wishes[1:])
        assert rig.wish("c") == Grant(id="b", won=False)

    @case
    async def test_of_many_at_once_one_wins(self, rig: Rig) -> None:
        keys = [rig.driver.async_keys(), rig.other.async_keys()]

        grants = await asyncio.gather(
            *(keys[n % 2].wish((Wish(key="k", id=f"id{n}", seconds=60.0),), 5.0) for n in range(50))
        )

        assert sum(grant.won for (grant,) in grants) == 1
        assert len({grant.id for (grant,) in grants}) == 1

    @case
    async def test_a_sender_that_dies_leaves_no_phantom(self, rig: Rig) -> None:
        rig.wish("a")

        await rig.advance(PENDING_SECONDS + 0.1)

        assert rig.wish("b") == Grant(id="b", won=True)
        rig.sent("a")
        assert rig.wish("c").id == "b"

    @case
    async def test_a_sender_that_was_slow_can_still_confirm(self, rig: Rig) -> None:
        rig.wish("a")
        await rig.advance(PENDING_SECONDS + 0.1)

        rig.sent("a")

        assert rig.wish("b") == Grant(id="a", won=False)

    @case
    async def test_who_asks_again_has_won_again(self, rig: Rig) -> None:
        rig.wish("a")
        assert rig.wish("a") == Grant(id="a", won=True)
        rig.sent("a")
        assert rig.wish("a") == Grant(id="a", won=True)
        assert rig.wish("b") == Grant(id="a", won=False)

    @case
    async def test_what_was_not_sent_is_nobodys(self, rig: Rig) -> None:
        rig.wish("a")
        rig.unsent("b")
        assert rig.wish("b").id == "a"

        rig.unsent("a")

        assert rig.wish("b") == Grant(id="b", won=True)

    @case
    async def test_it_is_held_for_its_time(self, rig: Rig) -> None:
        rig.wish("a", 0.4)
        rig.sent("a", 0.4)
        assert not rig.wish("b").won

        await rig.advance(0.5)

        assert rig.wish("b").won

    @case
    async def test_it_is_free_when_its_message_has_ended(self, rig: Rig) -> None:
        rig.wish("a")
        rig.sent("a")
        assert await rig.one("a", UNIQUE) == Passed()
        await rig.over("a", UNIQUE, outcome="failure", final=False)
        assert rig.wish("b") == Grant(id="a", won=False)
        assert await rig.one("a", UNIQUE, attempt=1) == Passed()

        await rig.over("a", UNIQUE)

        assert rig.wish("b") == Grant(id="b", won=True)

    @case
    async def test_a_message_that_ran_before_its_sender_said_so_leaves_nothing(self, rig: Rig) -> None:
        rig.wish("a")
        await rig.one("a", UNIQUE)
        assert rig.wish("b") == Grant(id="a", won=False)
        await rig.over("a", UNIQUE)

        rig.sent("a")

        assert rig.wish("b") == Grant(id="b", won=True)

    @case
    async def test_until_start_it_is_free_when_its_message_runs(self, rig: Rig) -> None:
        rig.wish("a")
        rig.sent("a")

        assert await rig.one("a", AT_START) == Passed()

        assert rig.wish("b") == Grant(id="b", won=True)
        rig.sent("b")
        # What has started is not stopped by its successor: handed over again after a crash, or as a retry.
        assert await rig.one("a", AT_START, session="s2") == Passed()
        assert await rig.one("a", AT_START, attempt=1) == Passed()
        assert await rig.one("c", AT_START) == Superseded(by="b")

    @case
    async def test_a_message_that_finds_its_key_in_anothers_hands_is_not_run(self, rig: Rig) -> None:
        rig.wish("a")
        rig.sent("a")

        assert await rig.one("b", UNIQUE) == Superseded(by="a")
        assert await rig.one("b", UNIQUE, attempt=1) == Superseded(by="a")
        # Of a key that nobody has, anybody.
        assert await rig.one("b", UniqueBound("free")) == Passed()

    @case
    async def test_replace_takes_it_from_a_message_that_does_not_run(self, rig: Rig) -> None:
        rig.wish("a")
        rig.sent("a")

        assert rig.wish("b", replace=True) == Grant(id="b", won=True)
        rig.sent("b")

        assert await rig.one("a", UNIQUE) == Superseded(by="b")
        assert await rig.one("b", UNIQUE, session="s2") == Passed()
        assert rig.wish("c", replace=True) == Grant(id="b", won=False)
        await rig.reap("s2")
        assert rig.wish("c", replace=True) == Grant(id="c", won=True)

    @case
    async def test_who_is_superseded_waits_no_more(self, rig: Rig) -> None:
        one = SlotBound("c", 1)
        rig.wish("a")
        await rig.one("x", one)
        assert isinstance(await rig.one("a", one, UNIQUE), Wait)

        rig.wish("b", replace=True)

        assert await rig.one("a", one, UNIQUE) == Superseded(by="b")
        assert rig.insight.reasons(["a"]) == (None,)
        assert rig.insight.states(5)[0].waiting == 0
