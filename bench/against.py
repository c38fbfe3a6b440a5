"""`python -m bench sqlite`: Leveret beside the queues that need no server either, and the raw limit of the medium."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

from bench import rounds, trial
from bench.interop import decoded_by_celery
from bench.systems import BENCH, LEVERET, SQLITE_PEERS, System, prepare

MEASUREMENTS: Mapping[str, tuple[rounds.Trial, Mapping[str, str]]] = {
    **{name: (run, {}) for name, run in trial.TRIALS.items()},
    "round trip": (trial.round_trip, {}),
    "drain, 10 kB of JSON": (trial.drain, {"payload": "10000"}),
    "drain, 1 ms of CPU": (trial.drain, {"spin": "0.001"}),
}


def sqlite(count: int, peers: tuple[str, ...], only: tuple[str, ...]) -> None:
    """Play `count` rounds of each measurement (three of the slow ones) and write down what is known after each."""
    systems = (LEVERET, *(peer for peer in SQLITE_PEERS if not peers or peer.peer in peers))
    prepare(systems)
    content: dict[str, object] = rounds.written("sqlite") if only else {}
    content |= {"decoded_by_celery": decoded_by_celery(100), "limit": limit()}
    for name, (run, options) in MEASUREMENTS.items():
        if only and name not in only:
            continue
        slow = run is trial.round_trip or bool(options)
        found = rounds.play(
            name, run, small(systems) if options else systems, min(count, 3) if slow else count, **options
        )
        figure = "p50_ms" if run is trial.round_trip else "per_second"
        content[name] = {"rounds": found, "ratios": rounds.summarise(name, found, figure)}
        rounds.write("sqlite", content)


def small(systems: tuple[System, ...]) -> tuple[System, ...]:
    """Large arguments and slow tasks: fewer of them, so that every system still has its second of window."""
    return tuple(replace(system, tasks=min(system.tasks, 8_000) // 2) for system in systems)


def limit() -> list[str]:
    """What the medium gives bare: the same file format and durability with nothing around it."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.raw_sqlite"], cwd=BENCH.parent, capture_output=True, text=True, check=True
    )
    print(f"\nthe raw limit of the medium\n{done.stdout}", flush=True)
    return done.stdout.splitlines()
