"""redis-stopped: a node is stopped in mid-run (a frozen disk, a paused virtual machine) until others have taken its work
over, and goes on. What it then settles is refused and counted; no task ends twice; it works again.
"""

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.e2e.fleet import Worker
from tests.e2e.redis.field import Notary, RedisFleet, group_signal
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

LEASE = size(20.0, 2.0)
STOPS = size(10, 2)
SLOTS = 2


class Stopper:
    def __init__(self, fleet: RedisFleet, node: Worker) -> None:
        self.fleet, self.node = fleet, node
        self.dice = random.Random(SEED)
        self.struck: list[str] = []
        self.stopped: list[float] = []

    def once(self) -> None:
        fleet, history = self.fleet, self.fleet.history
        fleet.until(lambda: len(self._running()) == SLOTS, 60.0, lambda: f"{self._running()} run there")
        time.sleep(self.dice.uniform(0.0, 0.1))
        running = self._running()
        group_signal(self.node, signal.SIGSTOP)
        began = time.time()

        def elsewhere() -> bool:
            starts = history.of("start")
            return all(any(line.node != self.node.name for line in starts[key]) for key in running)

        try:
            fleet.until(elsewhere, LEASE * 3, lambda: f"{running} did not begin elsewhere")
            # Some have ended there by then, some have not.
            time.sleep(self.dice.uniform(0.0, 1.0))
        finally:
            group_signal(self.node, signal.SIGCONT)
        self.stopped.append(time.time() - began)
        self.struck += running
        awake = time.time()
        fleet.until(lambda: self.node.name in fleet.nodes_seen(awake), 60.0, lambda: "it does not work again")

    def _running(self) -> list[str]:
        history = self.fleet.history
        history.read()
        recent = history.lines[-400:]
        ended = {(line.key, line.node) for line in recent if line.what == "done"}
        begun = [line for line in recent if line.what == "start" and line.node == self.node.name]
        return [line.key for line in begun if (line.key, line.node) not in ended and line.at > time.time() - 1.5]


def drill(server: RedisServer, folder: Path, stops: int, mutant: str = "") -> dict[str, Any]:
    with Notary(server.port) as notary, RedisFleet(folder, server.url, lease=LEASE) as fleet:
        fleet.worker("here", "-c", "2", mutant=mutant)
        stopper = Stopper(fleet, fleet.worker("stopped", "-c", str(SLOTS), mutant=mutant))
        fleet.source(name="p", threads=2, pause=0.4, seconds=(0.4, 0.8))
        fleet.ready()
        for _ in range(stops):
            stopper.once()
        outcome = fleet.outcome(drain=LEASE * 4 + 30.0)
        twice = notary.twice()
        starts = fleet.history.of("start")
    return {
        "lease_seconds": LEASE,
        "stops": stops,
        "stopped_seconds_max": round(max(stopper.stopped), 2),
        "runs_struck": len(stopper.struck),
        "runs_taken_over": sum(len(starts[key]) > 1 for key in set(stopper.struck)),
        **outcome,
        "terminal_twice": twice,
    }


def test_what_a_node_settles_after_its_lease_is_refused(own_redis: RedisServer, tmp_path: Path) -> None:
    report = drill(own_redis, tmp_path, STOPS)

    keep("redis-stopped", report)
    assert report["runs_taken_over"] >= STOPS
    assert report["stale_refused"] >= STOPS
    assert report["terminal_twice"] == 0
    assert (report["lost"], report["unexpected"], report["left"]) == (0, 0, 0)
    assert set(report["exit_codes"]) == {0}
