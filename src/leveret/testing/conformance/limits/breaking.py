"""What a gate must do with breakers and retry budgets."""

from leveret.model.limiting.gate import BreakerBound, BudgetBound, Open, Passed, SlotBound, Wait
from leveret.testing.conformance.limits.rig import Rig, case, passed, waits

BREAKER = BreakerBound("b", 2, 30.0, 0.5)


async def open_up(rig: Rig, bound: BreakerBound = BREAKER) -> None:
    names = [f"f{n}" for n in range(bound.failures)]
    assert all(passed(await rig.enter(*names, bounds=(bound,))))
    for name in names:
        await rig.over(name, bound, outcome="failure")


class TestBreakers:
    @case
    async def test_so_many_failures_open_it(self, rig: Rig) -> None:
        assert passed(await rig.enter(*"abc", bounds=(BREAKER,))) == [True] * 3
        await rig.over("a", BREAKER, outcome="failure")
        await rig.over("b", BREAKER, outcome="success")
        assert await rig.one("d", BREAKER) == Passed()

        await rig.over("c", BREAKER, outcome="failure")

        answer = await rig.one("e", BREAKER)
        assert isinstance(answer, Open)
        assert answer.key == "b"
        assert 0.3 < waits(answer) <= 0.51

    @case
    async def test_failures_of_long_ago_do_not_count(self, rig: Rig) -> None:
        bound = BreakerBound("b", 2, 0.3, 5.0)
        await rig.over("a", bound, outcome="failure")
        await rig.advance(0.4)

        await rig.over("b", bound, outcome="failure")

        assert await rig.one("c", bound) == Passed()

    @case
    async def test_one_probes_and_the_others_wait_for_what_comes_of_it(self, rig: Rig) -> None:
        await open_up(rig)
        assert passed(await rig.enter(*"abc", bounds=(BREAKER,))) == [False] * 3
        await rig.advance(0.6)

        assert passed(await rig.enter(*"abc", bounds=(BREAKER,))) == [True, False, False]
        assert passed(await rig.enter(*"bad", bounds=(BREAKER,))) == [False, True, False]
        await rig.over("f1", BREAKER, outcome="success")
        assert passed(await rig.enter(*"bd", bounds=(BREAKER,))) == [False, False]

        await rig.over("a", BREAKER, outcome="success")

        assert passed(await rig.enter(*"bcd", bounds=(BREAKER,))) == [True] * 3

    @case
    async def test_a_probe_that_fails_opens_it_again(self, rig: Rig) -> None:
        await open_up(rig)
        await rig.advance(0.6)
        await rig.one("a", BREAKER)

        await rig.over("a", BREAKER, outcome="failure")

        assert waits(await rig.one("a", BREAKER)) > 0.3
        await rig.advance(0.6)
        assert await rig.one("a", BREAKER) == Passed()

    @case
    async def test_a_probe_that_says_nothing_leaves_it_to_the_next(self, rig: Rig) -> None:
        await open_up(rig)
        await rig.advance(0.6)
        await rig.one("a", BREAKER)

        await rig.over("a", BREAKER, outcome="none")

        assert passed(await rig.enter(*"bc", bounds=(BREAKER,))) == [True, False]

    @case
    async def test_the_probe_of_a_killed_process_is_taken_over(self, rig: Rig) -> None:
        await open_up(rig)
        await rig.advance(0.6)
        assert await rig.one("a", BREAKER, session="s2") == Passed()
        assert isinstance(await rig.one("b", BREAKER), Open)

        await rig.reap("s2")

        assert passed(await rig.enter(*"bc", bounds=(BREAKER,))) == [True, False]

    @case
    async def test_who_may_not_start_for_another_reason_does_not_probe(self, rig: Rig) -> None:
        await open_up(rig)
        await rig.advance(0.6)
        full = SlotBound("c", 1)
        await rig.one("x", full)
        assert isinstance(await rig.one("a", BREAKER, full), Wait)

        assert await rig.one("b", BREAKER) == Passed()

    @case
    async def test_those_in_line_come_one_after_another(self, rig: Rig) -> None:
        await open_up(rig)

        answers = await rig.enter(*(f"w{n}" for n in range(100)), bounds=(BREAKER,))

        seconds = [waits(answer) for answer in answers]
        assert seconds == sorted(seconds)
        assert seconds[-1] - seconds[0] > 0.1

    @case
    async def test_it_is_seen(self, rig: Rig) -> None:
        await open_up(rig)
        (seen,) = rig.insight.states(10)
        assert (seen.bound, seen.key, seen.state) == ("breaker", "b", "open")
        assert seen.until is not None

        await rig.advance(0.6)
        assert rig.insight.states(10)[0].state == "half-open"
        await rig.one("a", BREAKER)
        assert rig.insight.states(10)[0].state == "half-open"
        await rig.over("a", BREAKER, outcome="success")
        assert rig.insight.states(10) == ()


class TestBudgets:
    @case
    async def test_first_attempts_are_not_asked(self, rig: Rig) -> None:
        bound = BudgetBound("t", 0.1, 1.0)

        assert passed(await rig.enter(*"abcd", bounds=(bound,))) == [True] * 4
        assert passed(await rig.enter(*"abc", bounds=(bound,), attempt=1)) == [True, False, False]

    @case
    async def test_retries_beyond_the_budget_have_their_turns(self, rig: Rig) -> None:
        bound = BudgetBound("t", 0.0, 2.0)

        answers = await rig.enter(*"abcd", bounds=(bound,), attempt=1)

        assert passed(answers) == [True, True, False, False]
        assert abs(waits(answers[2]) - 0.5) < 0.15
        assert abs(waits(answers[3]) - 1.0) < 0.15
        await rig.advance(0.6)
        assert passed(await rig.enter("c", bounds=(bound,), attempt=1)) == [True]

    @case
    async def test_successes_widen_it(self, rig: Rig) -> None:
        bound = BudgetBound("t", 0.5, 0.0)
        assert waits(await rig.one("a", bound, attempt=1)) > 1.0

        await rig.succeed({"t": 1000, "other": 5})
        await rig.succeed({"t": 1000})

        # Half of 2000 a minute is 16 a second.
        answers = await rig.enter(*(f"r{n}" for n in range(20)), bounds=(bound,), attempt=1)
        assert 14 <= sum(passed(answers)) <= 17

    @case
    async def test_successes_are_forgotten_after_a_minute(self, rig: Rig) -> None:
        rig.only_stepped()
        bound = BudgetBound("t", 0.5, 0.0)
        await rig.succeed({"t": 600})
        await rig.advance(40.0)
        await rig.succeed({"t": 600})
        assert passed(await rig.enter(*"abcdefghij", bounds=(bound,), attempt=1)) == [True] * 10
        assert waits(await rig.one("k", bound, attempt=1)) > 0
        await rig.over("k", bound, outcome="none")

        await rig.advance(30.0)
        assert passed(await rig.enter(*"lmnopqrs", bounds=(bound,), attempt=1)).count(True) == 5
        for name in "qrs":
            await rig.over(name, bound, outcome="none")
        await rig.advance(61.0)
        assert waits(await rig.one("y", bound, attempt=1)) > 1.0
