"""A simulation that finds nothing proves nothing: it must see each of eleven planted bugs within CI's 2,000 runs."""

import pytest
from tests.simulation.mutants import MUTANTS

from leveret.testing.simulation.variant import Variant
from leveret.testing.simulation.world import simulate

CI_SEEDS = 2_000
EXPECTED = {
    "ack before store": {"lost"},
    "no token check": {"stale accepted", "lost"},
    "lease renewed after reaping": {"stale accepted"},
    "seat counted twice": {"wrong join"},
    "mark before publish": {"lost"},
    "give-back charged as a crash": {"innocent charged"},
    "lost reply not reconciled": {"liveness"},
    "expired task run": {"expired run"},
    "fence in the last step": {"second terminal"},
    "replay of successes only": {"run after outcome"},
    "retry published twice": {"published twice"},
}
"""Which violation must be seen: found for another reason is not found."""
FOUND_BY = {"mark before publish": 294}
"""Seeds that are tried first: the first one of CI's that finds it, when it was looked for last."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_simulation_finds(mutant: Variant, capsys):
    for seed in sorted(range(CI_SEEDS), key=lambda seed: seed != FOUND_BY.get(mutant.name)):
        kinds = {violation.partition(":")[0] for violation in simulate(seed, mutant).violations}
        if kinds & EXPECTED[mutant.name]:
            with capsys.disabled():
                print(f"\n  {mutant.name}: found by seed {seed} ({', '.join(sorted(kinds))})", end="")
            return
    pytest.fail(f"{mutant.name} was not found in {CI_SEEDS} seeds")


def test_all_eleven_are_planted():
    assert sorted(EXPECTED) == sorted(mutant.name for mutant in MUTANTS)
    assert len(MUTANTS) == 11
