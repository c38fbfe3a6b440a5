"""Nodes of the drills on limits, and what is counted of their history."""

import os
import signal
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.drill import size
from tests.e2e.fleet import Fleet
from tests.servers.redis import RedisServer

from leveret import Leveret

NODES = 3
STORES = ("redis", "sqlite")


class Field(Fleet):
    """Three nodes, and an app here that sends."""

    app = "tests.e2e.limits.limits_app"
    lease = size(20.0, 4.0)

    def __init__(self, folder: Path, broker: str, **environment: str) -> None:
        super().__init__(folder, broker)
        self.environment |= environment
        self.sender = Leveret("limits_app", broker=broker, set_as_current=False, lease_seconds=self.lease)

    def start(self, *options: str, mutant: str = "") -> None:
        """Begin, and wait until each process of each node has run something."""
        for number in range(NODES):
            self.worker(f"n{number}", *options, mutant=mutant)
        self.until(self._all_run, 60.0, lambda: "not every node runs tasks")

    def _all_run(self) -> bool:
        self.send("warm", [()])
        self.history.read()
        names = {line.node for lines in self.history.of("warm").values() for line in lines}
        return len(names) >= NODES

    def send(self, task: str, calls: Iterable[tuple[Any, ...]]) -> list[str]:
        signatures = [self.sender.signature(f"{self.app}.{task}", args=args) for args in calls]
        return [result.id for result in self.sender.send_many(signatures)]

    def starts(self, key: str = "") -> list[float]:
        """Moments of starts, those of one kind of key."""
        found = [line.at for name, lines in self.history.of("start").items() if name.startswith(key) for line in lines]
        return sorted(found)

    def stop(self) -> list[int]:
        return [worker.stop() for worker in self.workers if worker.process.poll() is None]

    def close(self) -> None:
        super().close()
        self.sender.close()


@contextmanager
def field(store: str, folder: Path, **environment: str) -> Iterator[Field]:
    """On a Redis of its own, or on one file."""
    if store == "redis":
        with RedisServer() as server, Field(folder, server.url, **environment) as made:
            yield made
    else:
        with Field(folder, f"sqlite:///{folder / 'queue.db'}", **environment) as made:
            yield made


def most_in(moments: list[float], seconds: float) -> int:
    """In any stretch of that length."""
    return max((bisect_left(moments, at + seconds) - index for index, at in enumerate(moments)), default=0)


def most_over(moments: list[float], rate: float, at_once: float) -> float:
    """By how many any stretch, of whatever length, exceeds `at_once` and the rate; 0 or less: none does."""
    worst, least = 0.0, float("inf")
    for number, at in enumerate(moments):
        # A stretch that begins with this one has `number` before it.
        least = min(least, number - rate * at)
        worst = max(worst, number + 1 - rate * at - least)
    return worst - at_once


def most_at_once(runs: Iterable[tuple[float, float]]) -> int:
    steps = Counter[float]()
    for began, ended in runs:
        steps[began] += 1
        steps[ended] -= 1
    most = now = 0
    for moment in sorted(steps):
        now += steps[moment]
        most = max(most, now)
    return most


def kill(pid: int) -> float:
    """Answers when."""
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    return at
