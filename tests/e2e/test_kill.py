"""Kill the real thing at random: no id is lost, none ends twice, the guilty are parked, the innocent are not charged.

CI runs a tenth; LEVERET_CHAOS=full runs all of it and leaves the figures in bench/results/kill-<pool>.json.
"""

import sys
from pathlib import Path

import pytest
from tests.e2e.drill import keep
from tests.e2e.kill_drill import SIZE, perform

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(sys.platform != "linux", reason="slot pages are looked for in /dev/shm, processes in /proc"),
]


@pytest.mark.parametrize("pool", ["prefork", "threads", "asyncio"])
def test_nothing_is_lost_and_only_killers_are_parked(pool: str, tmp_path: Path) -> None:
    report = perform(tmp_path, pool=pool, **SIZE)

    keep(f"kill-{pool}", {**SIZE, **report})
    assert report["problems"] == []


def test_a_task_that_kills_the_whole_container_runs_four_times_at_most(tmp_path: Path) -> None:
    report = perform(tmp_path, container_kill=True, tasks=8, killers=1, running_kills=0)

    assert report["problems"] == []
    assert report["supervisor_kills"] >= 3


def test_unstarted_work_of_a_stopped_child_starts_elsewhere_within_15_seconds(tmp_path: Path) -> None:
    report = perform(tmp_path, stop_child=True, killers=0, running_kills=0, lease=20.0)

    assert report["problems"] == []
    assert report["executions"] == report["tasks"]


@pytest.mark.parametrize(
    ("mutant", "pool", "symptom"),
    [
        ("uncharged", "prefork", "killers ran"),
        ("unreaped", "prefork", "restarts took"),
    ],
)
def test_a_broken_supervisor_is_found(mutant: str, pool: str, symptom: str, tmp_path: Path) -> None:
    report = perform(tmp_path, pool=pool, mutant=mutant, tasks=60, killers=1, supervisor_kills=0)

    assert any(symptom in problem for problem in report["problems"]), report
