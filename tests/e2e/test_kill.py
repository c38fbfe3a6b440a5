"""Kill the real thing at random: no id is lost, none ends twice, the guilty are parked, the innocent are not charged.

CI runs a tenth; LEVERET_CHAOS=full runs all of it and leaves the figures in bench/results/kill-<pool>.json.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.harness import ROOT

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(sys.platform != "linux", reason="slot pages are looked for in /dev/shm, processes in /proc"),
]

FULL = os.environ.get("LEVERET_CHAOS") == "full"
SIZE: dict[str, Any] = (
    {"tasks": 2000, "child_kills": 30, "running_kills": 20, "supervisor_kills": 5, "killers": 5, "lease": 20.0}
    if FULL
    else {}
)
SEED = int(os.environ.get("LEVERET_SEED", "1"))


def perform(folder: Path, **plan: Any) -> dict[str, Any]:
    """Do one kill run in a process of its own; answers its report."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "KILL_URL": f"sqlite:///{folder / 'queue.db'}",
        "KILL_HISTORY": str(folder / "history"),
        "KILL_LEASE": str(plan.get("lease", 4.0)),
    }
    command = [sys.executable, "-m", "tests.e2e.kill_run", str(folder), json.dumps({"seed": SEED, **plan})]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, timeout=280)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize("pool", ["prefork", "threads", "asyncio"])
def test_nothing_is_lost_and_only_killers_are_parked(pool: str, tmp_path: Path) -> None:
    report = perform(tmp_path, pool=pool, **SIZE)

    if FULL:
        results = ROOT / "bench" / "results" / f"kill-{pool}.json"
        results.parent.mkdir(exist_ok=True)
        results.write_text(json.dumps({"seed": SEED, **SIZE, **report}, indent=2) + "\n")
    assert report["problems"] == []


def test_a_task_that_kills_the_whole_container_runs_four_times_at_most(tmp_path: Path) -> None:
    report = perform(tmp_path, container_kill=True, tasks=8, killers=1, running_kills=0)

    assert report["problems"] == []
    assert report["supervisor_kills"] >= 3


def test_unstarted_work_of_a_stopped_child_starts_elsewhere_within_15_seconds(tmp_path: Path) -> None:
    report = perform(tmp_path, stop_child=True, killers=0, running_kills=0, lease=20.0)

    assert report["problems"] == []
    assert report["executions"] == 21


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
