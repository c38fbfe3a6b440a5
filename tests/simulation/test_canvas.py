"""Random workflows on the real worker and the reference driver, with crashes at every step, against a model in plain
Python: no mismatch, and each body and each error callback committed exactly once."""

import os
from collections import Counter

import pytest
from tests.simulation.canvas_mutants import MUTANTS

from leveret.testing.faults import Fault
from leveret.testing.simulation.canvas.trees import leaves
from leveret.testing.simulation.canvas.world import SHIPPED, simulate_workflow, tree_of
from leveret.testing.simulation.report import run_seeds
from leveret.testing.simulation.variant import Variant

SEEDS = 5_000 if os.environ.get("LEVERET_CHAOS") == "full" else 500
CALM = Variant(seats=False, calm=True)
MUTANT_SEEDS = 500
EXPECTED = {
    "seat lost in a replay": {"wrong runs", "wrong result"},
    "seat counted twice": {"wrong result", "wrong runs"},
    "added member fills a place": {"wrong result", "wrong runs"},
    "added member counted twice": {"wrong result", "wrong runs"},
    "error callbacks by member": {"wrong errbacks"},
    "failed member takes no seat": {"wrong errbacks", "wrong result"},
    "acknowledged before the body is out": {"wrong runs", "wrong result"},
}


def test_workflows_come_to_what_the_model_says(capsys):
    tally = run_seeds(range(SEEDS), jobs=2, run=simulate_workflow)

    with capsys.disabled():
        print(f"\nworkflows of seeds 0 to {SEEDS - 1}", *tally.lines(), sep="\n")
    assert tally.failures == {}
    assert tally.seeds == SEEDS
    assert tally.struck[Fault.CRASH] > SEEDS
    assert tally.repeated > SEEDS / 4, "the faults did not hit work in flight"


def test_without_faults_each_task_runs_once():
    results = [simulate_workflow(seed, CALM) for seed in range(100)]

    assert [result.violations for result in results] == [()] * 100
    assert sum(result.repeated for result in results) == 0


def test_the_workflows_are_of_every_kind():
    sizes = [len(leaves(tree_of(seed))) for seed in range(SEEDS)]
    kinds = Counter(leaf.kind for seed in range(SEEDS) for leaf in leaves(tree_of(seed)))

    assert max(sizes) >= 50
    assert set(kinds) == {"ok", "flaky", "quiet", "fail", "replace", "revoked", "reject", "ignore", "add"}


def test_the_same_seed_is_the_same_run():
    assert [simulate_workflow(seed).digest for seed in range(8)] == [
        simulate_workflow(seed).digest for seed in range(8)
    ]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_workflows_find(mutant: Variant, capsys):
    for seed in range(MUTANT_SEEDS):
        kinds = {violation.partition(":")[0] for violation in simulate_workflow(seed, mutant).violations}
        if kinds & EXPECTED[mutant.name]:
            with capsys.disabled():
                print(f"\n  {mutant.name}: found by seed {seed} ({', '.join(sorted(kinds))})", end="")
            return
    pytest.fail(f"{mutant.name} was not found in {MUTANT_SEEDS} seeds")


def test_every_mutant_is_expected():
    assert sorted(EXPECTED) == sorted(mutant.name for mutant in MUTANTS)
    assert SHIPPED.patches == ()
