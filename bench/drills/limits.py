"""`python -m bench.drills.limits`: what a limit costs a task, in microseconds of CPU: of the asker, and of Redis or SQLite.

Batches of 100, and of 10 as a worker with ten slots has them: `enter` and then `leave`. A private redis-server. The
figures go to bench/results/limits-gate.json.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.drills.redis_results import server
from leveret.brokers.redis.driver import RedisDriver
from leveret.brokers.sql.driver import SqlDriver
from leveret.model.delivery import SessionId
from leveret.model.endpoint import Url
from leveret.model.limiting.gate import Bound, BreakerBound, Entry, Exit, RateBound, SlotBound, UniqueBound
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

ROUNDS, TASKS = 3, {"redis": 10_000, "sqlite": 2_000}
SESSION = SessionId("s")
NODE = Node(name="w@host", incarnation="w", boot="b", pid=1, queues=("q",))
EASY = RateBound("r", 1e-6, 1000)
ROOMY = SlotBound("c", 1000)
CASES: dict[str, Callable[[int], tuple[Bound, ...]]] = {
    "rate": lambda n: (EASY,),
    "rate by key (1,000 keys)": lambda n: (RateBound(f"r{n % 1000}", 1e-6, 1000),),
    "concurrency": lambda n: (ROOMY,),
    "concurrency by key (1,000 keys)": lambda n: (SlotBound(f"c{n % 1000}", 1000),),
    "breaker": lambda n: (BreakerBound("b", 5, 60.0, 30.0),),
    "rate and concurrency": lambda n: (EASY, ROOMY),
    "unique": lambda n: (UniqueBound(f"u{n}"),),
    "rate, all wait": lambda n: (RateBound("slow", 1000.0, 1),),
}
"""The bounds of the n-th task."""


def server_cpu(pid: int) -> float:
    """Seconds; to the nanosecond of the main thread, which does all the work."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def measure(driver: Any, bounds: Callable[[int], tuple[Bound, ...]], batch: int, pid: int | None) -> list[float]:
    """CPU of a task in microseconds: ours, and the server's."""
    gate, tasks = driver.gate(), TASKS["redis" if pid else "sqlite"]
    entries = [Entry(id=f"0190-{n:08d}-4000-8000-abcdefabcdef", attempt=0, bounds=bounds(n)) for n in range(tasks)]
    exits = [Exit(id=e.id, bounds=e.bounds, outcome="success", seconds=0.01) for e in entries]
    own, its = time.process_time(), server_cpu(pid) if pid else 0.0
    for start in range(0, tasks, batch):
        await gate.enter(SESSION, tuple(entries[start : start + batch]))
        await gate.leave(SESSION, tuple(exits[start : start + batch]), {})
    spent = time.process_time() - own, (server_cpu(pid) if pid else 0.0) - its
    return [seconds / tasks * 1e6 for seconds in spent]


async def rounds(make: Callable[[], Any], pid: int | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    driver = make()
    await driver.leases().register(NODE, (Session(id=SESSION, node="w@host", incarnation="w", pid=1),))
    for name, bounds in CASES.items():
        for batch in (100, 10):
            seen = [await measure(driver, bounds, batch, pid) for _ in range(ROUNDS)]
            ours, its = (round(statistics.median(column), 2) for column in zip(*seen, strict=True))
            found[f"{name}, batches of {batch}"] = {"asker": ours, **({"server": its} if pid else {})}
            print(f"{name:35} {batch:4} asker {ours:6.2f} us  server {its:6.2f} us", flush=True)
    return found


def main() -> None:
    options, clock = DriverOptions(), SystemClock()
    figures: dict[str, Any] = {"unit": "us of CPU a task, enter and leave", "tasks": TASKS, "rounds": ROUNDS}
    with server() as (url, pid):
        figures["redis"] = asyncio.run(rounds(lambda: RedisDriver(Url(url), options, clock), pid))
    with tempfile.TemporaryDirectory() as folder:
        path = f"sqlite:///{folder}/queue.db"
        figures["sqlite"] = asyncio.run(rounds(lambda: SqlDriver(Url(path), options, clock), None))
    (Path(__file__).parents[1] / "results" / "limits-gate.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
