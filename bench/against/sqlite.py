"""`python -m bench sqlite`: Leveret beside the queues that need no server either, and the raw limit of the medium."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

from bench import rounds, trial
from bench.against.measurement import Measurement, Selection, broken, measure
from bench.interop import decoded_by_celery
from bench.systems import BENCH, LEVERET, SQLITE_PEERS, System, prepare


def run(selection: Selection) -> list[str]:
    """Play the rounds of each measurement (three of the slow ones); answers what broke."""
    systems = (LEVERET, *(peer for peer in SQLITE_PEERS if not selection.peers or peer.peer in selection.peers))
    prepare(systems)
    content: dict[str, object] = rounds.written("sqlite") if selection.only else {}
    content |= {"decoded_by_celery": decoded_by_celery(100), "limit": limit()}
    measure("sqlite", measurements(systems), selection, content)
    return broken(content)


def measurements(systems: tuple[System, ...]) -> list[Measurement]:
    fast = [Measurement(name=name, entries=entries(systems, run)) for name, run in trial.TRIALS.items()]
    loads = {"drain, 10 kB of JSON": {"payload": "10000"}, "drain, 1 ms of CPU": {"spin": "0.001"}}
    slow = [
        Measurement(name=name, entries=entries(small(systems), trial.drain, **options), slow=True)
        for name, options in loads.items()
    ]
    trips = entries(systems, trial.round_trip)
    return [*fast, Measurement(name="round trip", entries=trips, figure="p50_ms", slow=True), *slow]


def entries(systems: tuple[System, ...], run: trial.Trial, **options: str) -> rounds.Entries:
    return {system.name: partial(run, system, **options) for system in systems}


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
