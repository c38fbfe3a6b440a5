"""What a gate must do with rates."""

from leveret.model.limiting.gate import Passed, RateBound, Wait
from leveret.testing.conformance.limits.rig import Rig, case, passed, waits

SLOW = RateBound("r", 0.4)
"""A start each 0.4 s."""
NEARLY = 0.15


class TestRates:
    @case
    async def test_a_burst_may_start_at_once_and_those_behind_it_are_told_one_moment_each(self, rig: Rig) -> None:
        bound = RateBound("r", 0.4, 2)

        answers = await rig.enter(*"abcde", bounds=(bound,))

        assert passed(answers) == [True, True, False, False, False]
        assert isinstance(answers[2], Wait)
        assert (answers[2].bound, answers[2].key) == ("rate", "r")
        for turn, answer in enumerate(answers[2:], 1):
            assert abs(waits(answer) - turn * 0.4) < NEARLY

    @case
    async def test_who_comes_at_its_moment_may_start(self, rig: Rig) -> None:
        await rig.enter(*"abc", bounds=(SLOW,))

        assert passed(await rig.enter(*"bc", bounds=(SLOW,))) == [False, False]
        await rig.advance(0.45)

        assert passed(await rig.enter(*"bc", bounds=(SLOW,), session="s2")) == [True, False]

    @case
    async def test_who_asks_too_early_keeps_its_place(self, rig: Rig) -> None:
        _, second, third = await rig.enter(*"abc", bounds=(SLOW,))

        again = await rig.enter(*"cb", bounds=(SLOW,))

        assert waits(again[0]) > waits(again[1])
        assert abs(waits(again[1]) - waits(second)) < NEARLY
        assert abs(waits(again[0]) - waits(third)) < NEARLY

    @case
    async def test_a_newcomer_does_not_overtake_who_is_due(self, rig: Rig) -> None:
        await rig.enter(*"ab", bounds=(SLOW,))
        await rig.advance(0.45)

        assert waits(await rig.one("new", SLOW)) > 0.2

        assert await rig.one("b", SLOW) == Passed()

    @case
    async def test_who_does_not_come_holds_nobody_up(self, rig: Rig) -> None:
        await rig.enter(*"abc", bounds=(SLOW,))
        await rig.advance(0.9)

        # b was to come 0.5 s ago.
        assert await rig.one("c", SLOW) == Passed()
        await rig.advance(0.85)
        assert await rig.one("new", SLOW) == Passed()

    @case
    async def test_who_is_long_overdue_has_lost_its_place(self, rig: Rig) -> None:
        rig.only_stepped()
        await rig.enter(*"abc", bounds=(SLOW,))
        await rig.advance(61.0)
        assert await rig.one("new", SLOW) == Passed()

        (answer,) = await rig.enter("other", bounds=(SLOW,))

        assert waits(answer) < 0.5
        assert sum(state.waiting for state in rig.insight.states(10)) == 1

    @case
    async def test_who_will_not_come_can_be_taken_out_of_the_line(self, rig: Rig) -> None:
        await rig.enter(*"abc", bounds=(SLOW,))

        await rig.over("b", SLOW, outcome="none", final=False)

        assert waits(await rig.one("c", SLOW)) < 0.45
        assert rig.insight.reasons(["b"]) == (None,)

    @case
    async def test_keys_do_not_know_one_another(self, rig: Rig) -> None:
        answers = [await rig.one(str(n), RateBound(f"{n} x\x1f\n", 10.0)) for n in range(3)]

        assert passed(answers) == [True] * 3

    @case
    async def test_a_quiet_spell_earns_no_more_than_the_burst(self, rig: Rig) -> None:
        bound = RateBound("r", 0.1, 2)
        await rig.enter(*"abcdef", bounds=(bound,))
        await rig.advance(1.0)

        assert passed(await rig.enter(*"cdefgh", bounds=(bound,))) == [True, True, False, False, False, False]
