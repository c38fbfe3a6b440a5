"""`python -m bench mixed`: short tasks behind long ones, fair order, and how much of the CPU is the tasks' own."""

import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench import rounds, trial
from bench.drills.verdicts import Figure, show
from bench.systems import LEVERET, System, prepare

SHORT, LONG = 0.001, 0.4
RECORD = struct.Struct("=IIddd")
"""What peers/p_mixed.py writes for every run: index, pid, start, end, seconds asked for."""

MIXED = System(name="mixed", peer="mixed", install=LEVERET.install, tasks=0, venv="leveret")


@dataclass(frozen=True, slots=True)
class Run:
    index: int
    pid: int
    start: float
    end: float
    seconds: float


def run() -> None:
    systems = (MIXED, LEVERET)
    prepare(systems)
    order = [SHORT] * 4000 + [LONG] * 100
    random.Random(8).shuffle(order)
    runs, took = _play(order, processes=2)
    single, _ = _play([SHORT] * 500, processes=1)
    cpu = trial.drain(System(name="leveret", peer="leveret", install=(), tasks=4000), spin="0.001")
    figures = [
        Figure("4,000 x 1 ms and 100 x 400 ms, time over the ideal", took / (sum(order) / 2), 1.15, "x"),
        Figure("longest a short task waited while a slot was free", longest_wait(runs, slots=2) * 1000, 100, "ms"),
        Figure("one slot: tasks that started out of order", float(out_of_order(single)), 0, "tasks"),
        Figure("1 ms of CPU a task: share of the node's CPU", 1e5 / cpu["cpu_ms_per_1k"], 90, "%", at_least=True),
    ]
    rounds.write("mixed", {"figures": show(figures), "seconds": took, "ideal": sum(order) / 2})


def longest_wait(runs: Sequence[Run], slots: int) -> float:
    """The longest time in which a slot was free while a short task that was sent earlier than one already begun waited.

    A slot is free between the end of a run and the next start on the same process.
    """
    by_pid: dict[int, list[Run]] = {}
    for one in sorted(runs, key=lambda run: run.start):
        by_pid.setdefault(one.pid, []).append(one)
    last_start = max(run.start for run in runs if run.seconds == SHORT)
    gaps = [(before.end, min(after.start, last_start)) for mine in by_pid.values() for before, after in pairwise(mine)]
    gaps += [(mine[-1].end, last_start) for mine in by_pid.values() if mine[-1].end < last_start]
    assert len(by_pid) <= slots, "a process was replaced"
    return max((until - since for since, until in gaps), default=0.0)


def out_of_order(runs: Sequence[Run]) -> int:
    starts = [run.index for run in sorted(runs, key=lambda run: run.start)]
    return sum(1 for before, after in pairwise(starts) if after < before)


def _play(order: Sequence[float], processes: int) -> tuple[list[Run], float]:
    with trial.bed(MIXED, processes=str(processes)) as it:
        (it.folder / "order").write_bytes(struct.pack(f"={len(order)}d", *order))
        it.run("send", str(len(order)), "bulk")
        with it.node() as node:
            node.wait_for(it.counter, len(order), 240)
        runs = read(it.folder / "runs")
    assert len(runs) == len(order), f"{len(runs)} runs of {len(order)} tasks"
    return runs, max(run.end for run in runs) - min(run.start for run in runs)


def read(path: Path) -> list[Run]:
    return [Run(*fields) for fields in RECORD.iter_unpack(path.read_bytes())]
