"""Many seeds over several processes, and the closing table."""

import argparse
import gc
import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from leveret.testing.faults import Fault
from leveret.testing.simulation.canvas.world import simulate_workflow
from leveret.testing.simulation.world import Result, simulate

Run = Callable[[int], Result]
COLLECT_EVERY = 20
"""Runs between two collections of garbage: a run leaves cycles behind, and the collector inside of one costs 15 %."""


@dataclass
class Tally:
    """The sum of many runs."""

    seeds: int = 0
    seconds: float = 0.0
    """Wall time."""
    simulated: float = 0.0
    runs: int = 0
    repeated: int = 0
    refused: int = 0
    struck: Counter[Fault] = field(default_factory=Counter)
    failures: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.simulated += result.seconds
        self.runs += result.runs
        self.repeated += result.repeated
        self.refused += result.refused
        self.struck += result.struck
        if result.violations:
            self.failures[result.seed] = result.violations

    def lines(self) -> Iterator[str]:
        yield f"{self.seeds} seeds in {self.seconds:.1f} s ({self.seeds / max(self.seconds, 1e-9):.0f}/s)"
        yield f"{self.simulated:,.0f} s simulated, {self.runs:,} runs, {self.repeated:,} of them repeated after a fault"
        yield f"{self.refused:,} stale settlements refused"
        yield from (f"  {fault.value:<16} {self.struck[fault]:>8,}" for fault in Fault)
        for seed, violations in sorted(self.failures.items())[:20]:
            yield f"seed {seed}: {violations[0]}" + (
                f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
            )
        yield f"violations: {len(self.failures)} of {self.seeds} seeds"


def run_seeds(seeds: Sequence[int], jobs: int = 1, run: Run = simulate) -> Tally:
    """Run every seed, spread over `jobs` processes."""
    started, tally = time.monotonic(), Tally()
    for result in _results(seeds, jobs, run):
        tally.add(result)
    tally.seconds = time.monotonic() - started
    return tally


def _results(seeds: Sequence[int], jobs: int, run: Run) -> Iterable[Result]:
    collected = partial(_simulate, run)
    if jobs == 1:
        yield from map(collected, seeds)
        return
    # Spawned, so that every run starts from the same state whatever the parent has imported or patched.
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(collected, seeds, chunksize=COLLECT_EVERY)


def _simulate(run: Run, seed: int) -> Result:
    gc.disable()
    try:
        return run(seed)
    finally:
        if seed % COLLECT_EVERY == 0:
            gc.collect()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m leveret.testing.simulation", description=__doc__)
    parser.add_argument("--seeds", default="0:2000", help="first:end, or one seed to look at closely")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--canvas", action="store_true", help="random workflows instead of single tasks")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args(arguments)
    run = simulate_workflow if options.canvas else simulate
    first, colon, end = options.seeds.partition(":")
    if not colon:
        return _show(int(first), run)
    tally = run_seeds(range(int(first), int(end)), options.jobs, run)
    print("\n".join(tally.lines()))
    if options.json:
        options.json.write_text(json.dumps(_figures(tally, options.jobs), indent=2) + "\n")
    return 1 if tally.failures else 0


def _show(seed: int, run: Any) -> int:
    result = run(seed, keep_events=True)
    for event in result.events:
        print(*event)
    print("\n".join(result.violations) or "no violation", f"trace {result.digest}", sep="\n")
    return 1 if result.violations else 0


def _figures(tally: Tally, jobs: int) -> dict[str, object]:
    return {
        "seeds": tally.seeds,
        "processes": jobs,
        "seconds": round(tally.seconds, 1),
        "seeds_per_second": round(tally.seeds / tally.seconds, 1),
        "simulated_seconds": round(tally.simulated),
        "runs": tally.runs,
        "repeated_runs": tally.repeated,
        "refused_settlements": tally.refused,
        "faults": {fault.value: tally.struck[fault] for fault in Fault},
        "violations": {str(seed): list(found) for seed, found in sorted(tally.failures.items())},
    }
