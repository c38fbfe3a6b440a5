"""What a gate must do with slots, with several bounds at once, and tell of them."""

import pytest

from leveret.errors import LeaseLost
from leveret.model.limiting.gate import BoundState, Passed, RateBound, SlotBound, Wait
from leveret.testing.conformance.limits.rig import Rig, case, passed, waits

TWO = SlotBound("c", 2)
LOOK_SECONDS = 0.6


class TestSlots:
    @case
    async def test_so_many_hold_a_slot_and_no_more(self, rig: Rig) -> None:
        answers = await rig.enter(*"abcd", bounds=(TWO,))

        assert passed(answers) == [True, True, False, False]
        assert isinstance(answers[2], Wait)
        assert (answers[2].bound, answers[2].key) == ("slots", "c")
        assert waits(answers[3]) > waits(answers[2])

    @case
    async def test_who_leaves_makes_room(self, rig: Rig) -> None:
        await rig.enter(*"abc", bounds=(TWO,))

        await rig.over("a", TWO, seconds=0.1)

        assert passed(await rig.enter(*"cd", bounds=(TWO,), session="s2")) == [True, False]

    @case
    async def test_who_holds_a_slot_still_does_when_asked_again(self, rig: Rig) -> None:
        await rig.enter(*"ab", bounds=(TWO,))

        assert passed(await rig.enter(*"ab", bounds=(TWO,))) == [True, True]
        assert await rig.one("a", TWO, session="s2") == Passed()
        assert passed(await rig.enter(*"cab", bounds=(TWO,), session="s2")) == [False, True, True]

    @case
    async def test_what_another_session_has_taken_over_is_not_given_up_by_the_first(self, rig: Rig) -> None:
        await rig.enter(*"ab", bounds=(TWO,))
        await rig.one("a", TWO, session="s2")

        await rig.over("a", TWO)

        assert passed(await rig.enter("c", bounds=(TWO,))) == [False]
        await rig.over("a", TWO, session="s2")
        assert passed(await rig.enter("c", bounds=(TWO,))) == [True]

    @case
    async def test_leaving_again_changes_nothing(self, rig: Rig) -> None:
        await rig.enter(*"ab", bounds=(TWO,))

        for _ in range(3):
            await rig.over("a", TWO)

        assert passed(await rig.enter(*"cd", bounds=(TWO,))) == [True, False]

    @case
    async def test_the_slot_of_a_killed_process_is_free_when_it_is_reaped(self, rig: Rig) -> None:
        await rig.enter(*"ab", bounds=(TWO,), session="s2")
        assert passed(await rig.enter(*"cd", bounds=(TWO,))) == [False, False]

        await rig.reap("s2")
        await rig.advance(LOOK_SECONDS)

        assert passed(await rig.enter(*"cde", bounds=(TWO,))) == [True, True, False]

    @case
    async def test_a_session_that_is_over_or_unknown_gets_nothing(self, rig: Rig) -> None:
        await rig.reap("s2")

        for session in ("s2", "never"):
            with pytest.raises(LeaseLost):
                await rig.one("a", TWO, session=session)

        assert passed(await rig.enter(*"bc", bounds=(TWO,))) == [True, True]
        await rig.over("b", TWO, session="s2")
        assert passed(await rig.enter("d", bounds=(TWO,))) == [False]

    @case
    async def test_the_first_in_line_asks_soon_and_those_behind_it_at_half_of_what_their_turn_may_take(
        self, rig: Rig
    ) -> None:
        await rig.enter(*"ab", bounds=(TWO,))
        await rig.over("a", TWO, seconds=10.0)
        await rig.one("a", TWO)

        answers = await rig.enter(*"cdef", bounds=(TWO,))

        assert [round(waits(answer), 1) for answer in answers] == [0.5, 5.0, 7.5, 10.0]

    @case
    async def test_while_nobody_knows_how_long_a_run_takes_all_ask_soon(self, rig: Rig) -> None:
        """Told by a guess, the last of these would wait ten seconds for runs of a millisecond."""
        await rig.enter(*"ab", bounds=(TWO,))

        answers = await rig.enter(*(f"w{number}" for number in range(40)), bounds=(TWO,))

        assert max(waits(answer) for answer in answers) < 1.0

    @case
    async def test_a_newcomer_does_not_overtake_who_is_about_to_ask(self, rig: Rig) -> None:
        await rig.enter(*"abc", bounds=(TWO,))

        await rig.over("a", TWO, seconds=1.0)

        assert passed(await rig.enter("new", bounds=(TWO,))) == [False]
        assert passed(await rig.enter("c", bounds=(TWO,))) == [True]

    @case
    async def test_a_free_slot_does_not_wait_for_who_does_not_come(self, rig: Rig) -> None:
        await rig.enter(*"abc", bounds=(TWO,))
        await rig.over("a", TWO, seconds=0.1)

        await rig.advance(0.4)

        assert passed(await rig.enter(*"xy", bounds=(TWO,))) == [True, False]


class TestSeveralBounds:
    @case
    async def test_all_or_none(self, rig: Rig) -> None:
        one, rate = SlotBound("c", 1), RateBound("r", 30.0)
        assert await rig.one("a", one) == Passed()

        waiting = await rig.one("b", rate, one)
        assert isinstance(waiting, Wait)
        assert waiting.bound == "slots"
        await rig.over("a", one)

        assert await rig.one("b", rate, one) == Passed()
        await rig.over("b", rate, one)
        later = await rig.one("c", rate, one)
        assert isinstance(later, Wait)
        assert (later.bound, later.key) == ("rate", "r")
        # c waits for the rate, and holds no slot meanwhile.
        assert await rig.one("d", one) == Passed()

    @case
    async def test_who_passed_and_asks_again_has_passed(self, rig: Rig) -> None:
        bounds = (SlotBound("c", 1), RateBound("r", 30.0))

        assert await rig.one("a", *bounds) == Passed()

        assert await rig.one("a", *bounds) == Passed()
        # In another session it starts anew: that counts for the rate, and its slot is not kept for it.
        assert isinstance(await rig.one("a", *bounds, session="s2"), Wait)
        assert await rig.one("b", bounds[0]) == Passed()

    @case
    async def test_the_longest_wait_is_told(self, rig: Rig) -> None:
        bounds = RateBound("short", 1.0), RateBound("long", 20.0), RateBound("middle", 10.0)
        await rig.one("a", *bounds)

        answer = await rig.one("b", *bounds)

        assert isinstance(answer, Wait)
        assert answer.key == "long"
        assert abs(answer.seconds - 20.0) < 0.5


class TestInsight:
    @case
    async def test_why_something_waits(self, rig: Rig) -> None:
        rate = RateBound("mail", 2.0)
        await rig.enter(*"abc", bounds=(rate,))

        assert rig.insight.reasons(["a", "nobody"]) == (None, None)
        _, reason = rig.insight.reasons(["a", "c"])

        assert reason is not None
        assert (reason.id, reason.bound, reason.key, reason.ahead) == ("c", "rate", "mail", 1)
        assert abs(reason.until - reason.at - 4.0) < 0.5

    @case
    async def test_nothing_is_said_of_what_waits_no_more(self, rig: Rig) -> None:
        await rig.enter(*"abc", bounds=(TWO,))
        assert rig.insight.reasons(["c"]) != (None,)

        await rig.over("a", TWO)
        await rig.one("c", TWO)

        assert rig.insight.reasons(["c"]) == (None,)
        assert rig.insight.reasons([]) == ()

    @case
    async def test_what_stands_behind_each_limit_the_longest_line_first(self, rig: Rig) -> None:
        await rig.enter(*"abc", bounds=(TWO,))
        await rig.enter(*"abcd", bounds=(RateBound("r r", 5.0),))
        await rig.enter("x", bounds=(SlotBound("idle", 3),))
        await rig.enter("y", bounds=(RateBound("quiet", 0.01),))

        assert rig.insight.states(10) == (
            BoundState(bound="rate", key="r r", waiting=3),
            BoundState(bound="slots", key="c", waiting=1, held=2),
            BoundState(bound="slots", key="idle", held=1),
        )
        assert len(rig.insight.states(2)) == 2
        await rig.over("x", SlotBound("idle", 3))
        assert len(rig.insight.states(10)) == 2
