"""What ran when: an order of sleeps is played on a node, and every run of it is judged."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from bench import trial
from bench.media import Medium
from bench.systems import LEVERET, System

SHORT = 0.001
READY_SECONDS = 1.0
"""So long after the first start the node may need to bring up its other processes: from then on they are free slots."""
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


def play(order: Sequence[float], processes: int, medium: Medium, system: System = MIXED) -> tuple[list[Run], float]:
    """Sends the order, then starts a node; answers the runs, and the seconds from the first start to the last end."""
    with trial.bed(system, medium, processes=str(processes)) as it:
        (it.folder / "order").write_bytes(struct.pack(f"={len(order)}d", *order))
        it.run("send", str(len(order)), "bulk")
        with it.node() as node:
            node.wait_for(it.counter, len(order), 120 + 2 * sum(order) / processes)
        runs = read(it.folder / "runs")
    assert len(runs) == len(order), f"{len(runs)} runs of {len(order)} tasks"
    return runs, max(run.end for run in runs) - min(run.start for run in runs)


def read(path: Path) -> list[Run]:
    return [Run(*fields) for fields in RECORD.iter_unpack(path.read_bytes())]


def longest_wait(runs: Sequence[Run], slots: int) -> float:
    """The longest time in which a slot was free while a short task waited; all of them were sent before the first run.

    A slot is free between the end of a run and the next start on the same process, and before its first start.
    """
    by_pid: dict[int, list[Run]] = {}
    for one in sorted(runs, key=lambda run: run.start):
        by_pid.setdefault(one.pid, []).append(one)
    assert len(by_pid) <= slots, "a process was replaced"
    ready = min(run.start for run in runs) + READY_SECONDS
    last_start = max(run.start for run in runs if run.seconds == SHORT)
    gaps = [(before.end, after.start) for mine in by_pid.values() for before, after in pairwise(mine)]
    gaps += [(mine[-1].end, last_start) for mine in by_pid.values()]
    gaps += [(ready, mine[0].start) for mine in by_pid.values()]
    gaps += [(ready, last_start)] * (slots - len(by_pid))
    return max(0.0, *(min(until, last_start) - since for since, until in gaps))


def out_of_order(runs: Sequence[Run]) -> int:
    starts = [run.index for run in sorted(runs, key=lambda run: run.start)]
    return sum(1 for before, after in pairwise(starts) if after < before)
