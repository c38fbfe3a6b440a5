"""Each moment of each entry is fired once: three schedulers, killed, paused, cut off, on clocks that jump."""

import time

import pytest
from msgspec.structs import replace
from tests.e2e.drill import FULL, SEED, keep, size
from tests.simulation.schedule_mutants import EXPECTED, MUTANTS
from tests.simulation.schedules import Variant, outage, simulate

from leveret.model.schedules.entry import CatchUp
from leveret.testing.conformance.schedules.rig import entry
from leveret.testing.faults import Fault

ENTRIES, TICKS = 50, size(3600, 360)
SEEDS = size(3, 1)


def test_no_moment_is_lost_and_none_is_fired_twice(capsys):
    started = time.perf_counter()
    outcomes = [simulate(SEED + number, entries=ENTRIES, ticks=TICKS) for number in range(SEEDS)]

    struck = {fault.value: sum(outcome.struck[fault] for outcome in outcomes) for fault in Fault}
    late = sorted(seconds for outcome in outcomes for seconds in outcome.lateness)
    figures = {
        "seeds": [outcome.seed for outcome in outcomes],
        "schedulers": 3,
        "entries": ENTRIES,
        "ticks": TICKS,
        "occurrences": sum(outcome.expected for outcome in outcomes),
        "not_equal_to_one": sum(outcome.wrong for outcome in outcomes),
        "violations": [violation for outcome in outcomes for violation in outcome.violations],
        "kills": sum(outcome.kills for outcome in outcomes),
        "changes": sum(outcome.changes for outcome in outcomes),
        "faults": struck,
        "lateness_p50": round(late[len(late) // 2], 3),
        "lateness_max": round(late[-1], 3),
        "seconds": round(time.perf_counter() - started),
    }
    with capsys.disabled():
        keep("schedules", figures)
    assert figures["violations"] == []
    assert figures["not_equal_to_one"] == 0
    assert min(struck.values()) >= TICKS / 360, "a kind of fault never struck"
    assert figures["kills"] >= TICKS / 60


def test_without_faults_every_moment_is_on_time():
    outcome = simulate(SEED, entries=10, ticks=60, variant=Variant(calm=True))

    assert (outcome.wrong, outcome.violations) == (0, [])
    assert outcome.lateness[-1] < 0.05


def test_the_same_seed_is_the_same_run():
    one, other = (simulate(7, entries=5, ticks=60) for _ in range(2))

    assert (one.lateness, one.struck, one.kills) == (other.lateness, other.struck, other.kills)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_simulation_finds(mutant: Variant, capsys):
    for seed in range(size(200, 40)):
        violations = simulate(seed, entries=12, ticks=90, variant=mutant).violations
        if any(violation.startswith(EXPECTED[mutant.name]) for violation in violations):
            with capsys.disabled():
                print(f"\n  {mutant.name}: found by seed {seed}", end="")
            return
    pytest.fail(f"{mutant.name} was not found")


POLICIES = {
    "skip": CatchUp(policy="skip"),
    "one": CatchUp(policy="one"),
    "all": CatchUp(policy="all"),
    "all7": CatchUp(policy="all", most=7),
    "recent": CatchUp(policy="all", within=120.0),
}
MISSED = {"skip": 0, "one": 1, "all": 20, "all7": 7, "recent": 4}
"""Of the 20 moments of an entry of 30 s that fall into 10 minutes without a scheduler."""


@pytest.mark.parametrize("policy", POLICIES)
def test_after_ten_minutes_without_a_scheduler_each_policy_runs_exactly_what_it_says(policy: str):
    line = replace(entry("a", 30.0, source="code"), catch_up=POLICIES[policy])

    # Up for 100 s, down until 700.5 s: the moments 120, 150 ... 690 are missed.
    runs = outage([line], before=100.5, down=600.0, after=100.0)["a"]

    missed = [moment for moment in runs if 100.5 < moment <= 700.5]
    assert [moment for moment in runs if moment <= 100.5] == [30.0, 60.0, 90.0]
    assert [moment for moment in runs if moment > 700.5] == [720.0, 750.0, 780.0]
    assert len(missed) == MISSED[policy]
    assert missed == [30.0 * number for number in range(4, 24)][20 - len(missed) :]


def test_what_is_hardly_late_is_run_under_every_policy():
    line = replace(entry("a", 1.0, source="code"), catch_up=CatchUp(policy="skip"))

    runs = outage([line], before=10.5, down=4.0, after=10.0)["a"]

    assert runs == [float(second) for second in range(1, 25)]


@pytest.mark.skipif(not FULL, reason="a year takes its time; LEVERET_CHAOS=full runs it")
def test_a_year_without_a_scheduler_is_made_up_for_in_no_time():
    line = replace(entry("a", 1.0, source="code"), catch_up=CatchUp(policy="one"))
    started = time.perf_counter()

    runs = outage([line], before=10.5, down=365 * 86_400.0, after=3.0)["a"]

    assert len([moment for moment in runs if moment > 10.5]) <= 10
    assert time.perf_counter() - started < 5.0
