"""The real worker against the reference driver, with faults at every port call, on virtual time."""

import os
import subprocess
import sys

from leveret.testing.faults import Fault
from leveret.testing.simulation.report import run_seeds
from leveret.testing.simulation.variant import Variant
from leveret.testing.simulation.world import simulate

CALM = Variant(name="calm", calm=True)
SEEDS = 20_000 if os.environ.get("LEVERET_CHAOS") == "full" else 2_000


def test_no_task_is_lost_none_ends_twice_and_every_one_ends(capsys):
    tally = run_seeds(range(SEEDS), jobs=2)

    with capsys.disabled():
        print("", *tally.lines(), sep="\n")
    assert tally.failures == {}
    assert tally.seeds == SEEDS
    assert min(tally.struck[fault] for fault in Fault) >= SEEDS / 20, "a kind of fault hardly ever struck"
    assert tally.repeated > SEEDS, "the faults did not hit work in flight"


def test_without_faults_every_attempt_runs_once_and_nothing_is_refused():
    results = [simulate(seed, CALM) for seed in range(60)]

    assert [result.violations for result in results] == [()] * 60
    assert sum(result.repeated for result in results) == 0
    assert sum(result.refused for result in results) == 0


def test_the_same_seed_is_the_same_run():
    assert [simulate(seed).digest for seed in range(8)] == [simulate(seed).digest for seed in range(8)]


def test_the_same_seed_is_the_same_run_in_another_process():
    code = "from leveret.testing.simulation.world import simulate; print([simulate(n).digest for n in range(4)])"
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert other.stdout.strip() == str([simulate(seed).digest for seed in range(4)])


def test_different_seeds_are_different_runs():
    assert len({simulate(seed).digest for seed in range(8)}) == 8
