"""The drills on limits fail when what they watch is broken: `make chaos DRILL=limits-mutants` (in CI size).

In CI only one runs that takes no longer than a part of the drill.
"""

import os
from pathlib import Path

import pytest
from tests.e2e.limits import test_dependency, test_limits
from tests.e2e.limits.sizes import SLOTS

ALL = os.environ.get("LEVERET_CHAOS") == "mutants"
slow = pytest.mark.skipif(not ALL, reason="takes a minute: make chaos DRILL=limits-mutants")
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


def test_a_rate_that_is_too_fast_is_seen(tmp_path: Path) -> None:
    assert test_limits.rate("redis", tmp_path, "limits-hurried")["most_in_a_second"] > 55


@slow
def test_a_rate_that_is_too_slow_is_seen(tmp_path: Path) -> None:
    assert test_limits.rate("sqlite", tmp_path, "limits-lazy")["used"] < 0.95


@slow
@pytest.mark.parametrize("mutant", ["limits-fleeting", "limits-unlimited"])
def test_too_many_at_once_are_seen(mutant: str, tmp_path: Path) -> None:
    assert test_limits.concurrency("redis", tmp_path, mutant)["most_at_once"] > SLOTS


@slow
def test_slots_that_nobody_gives_up_are_seen(tmp_path: Path) -> None:
    figures = test_limits.concurrency("redis", tmp_path, "limits-clinging")

    assert figures["used"] < 0.5 or figures["kills"] < test_limits.KILLS * 0.8


@slow
def test_two_winners_are_seen(tmp_path: Path) -> None:
    assert test_limits.unique("redis", tmp_path, "limits-presumptuous")["rounds_with_one_winner"] < test_limits.ROUNDS


@slow
@pytest.mark.parametrize("mutant", ["limits-heedless", "limits-spendthrift", "limits-dropping"])
def test_a_broken_breaker_a_broken_budget_and_losses_are_seen(mutant: str, tmp_path: Path) -> None:
    figures = test_dependency.dependency("redis", tmp_path, mutant)

    with pytest.raises(AssertionError):
        test_dependency.check(figures)
