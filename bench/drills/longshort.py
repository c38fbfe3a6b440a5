"""`python -m bench longshort`: 20 long tasks and 5,000 of 1 ms in one queue, four processes of one slot each."""

import csv
import random
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

from bench import media, rounds
from bench.drills.runs import MIXED, SHORT, Run, longest_wait, play
from bench.drills.verdicts import Figure, show
from bench.media import DATA, Medium
from bench.systems import prepare

LONGS, SHORTS, SLOTS = 20, 5000, 4
MOST_MS = 100


def run(broker: str, long_seconds: float) -> None:
    """`long_seconds` is 60 in earnest; CI is content with 2."""
    prepare((MIXED,))
    order = [SHORT] * SHORTS + [long_seconds] * LONGS
    random.Random(60).shuffle(order)
    with media.medium(broker) as medium:
        runs, took = play(order, SLOTS, medium)
    written(runs, medium)
    figures = [judge(runs)]
    ideal = sum(order) / SLOTS
    content = {"figures": show(figures), "long_seconds": long_seconds, "seconds": took, "ideal": ideal}
    rounds.write(rounds.named("longshort", medium.name), content)


def judge(runs: Sequence[Run]) -> Figure:
    wait = longest_wait(runs, SLOTS) * 1000
    return Figure("longest a short task waited while one of 4 slots was free", wait, MOST_MS, "ms")


def written(runs: Sequence[Run], medium: Medium) -> Path:
    """Every run with its start and end, for whoever wants to judge again."""
    path = DATA / f"longshort-{medium.name}.csv"
    began = min(run.start for run in runs)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(field.name for field in fields(Run))
        for index, pid, start, end, seconds in map(astuple, sorted(runs, key=lambda run: run.start)):
            rows.writerow((index, pid, f"{start - began:.6f}", f"{end - began:.6f}", seconds))
    print(f"every run is in {path.relative_to(DATA.parent.parent)}")
    return path
