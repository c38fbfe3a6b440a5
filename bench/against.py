"""`python -m bench sqlite`: Leveret beside the queues that need no server either, and the raw limit of the medium."""

import subprocess
import sys
from dataclasses import replace

from bench import rounds, trial
from bench.interop import decoded_by_celery
from bench.systems import BENCH, LEVERET, SQLITE_PEERS, System, prepare


def sqlite(count: int, names: tuple[str, ...]) -> None:
    systems = (LEVERET, *(peer for peer in SQLITE_PEERS if not names or peer.peer in names))
    prepare(systems)
    content: dict[str, object] = {"decoded_by_celery": decoded_by_celery(100)}
    for name, run in trial.TRIALS.items():
        found = rounds.play(name, run, systems, count)
        content[name] = {"rounds": found, "ratios": rounds.summarise(name, found)}
    content["round trip"] = {"rounds": rounds.play("round trip", trial.round_trip, systems, min(count, 3))}
    for name, options in {
        "drain, 10 kB of JSON": {"payload": "10000"},
        "drain, 1 ms of CPU": {"spin": "0.001"},
    }.items():
        found = rounds.play(name, trial.drain, small(systems), min(count, 3), **options)
        content[name] = {"rounds": found, "ratios": rounds.summarise(name, found)}
    content["limit"] = limit()
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
