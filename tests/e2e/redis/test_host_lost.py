"""redis-host-lost: hosts vanish, one after the other, and never come back under their names. What they ran has begun
elsewhere when `lease_seconds` are over. Between two of them a single worker process dies: its task begins anew within a
second.
"""

import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.e2e.fleet import Worker
from tests.e2e.history import Line
from tests.e2e.redis.field import Notary, RedisFleet, kill_node
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

LEASE = size(20.0, 3.0)
# In CI the new process that runs what came back takes its time of a short lease.
LIMIT = size(LEASE, LEASE + 2.0)
CHILD_LIMIT = size(1.0, 2.0)
HOSTS = size(50, 5)
AT_ONCE = size(6, 3)
"""Hosts that may be struck next, beside two that stay."""
PAUSE = size(2.0, 0.5)


@dataclass
class Blow:
    """What ran on a host, or in a process, when it died."""

    at: float
    keys: list[str]
    host: bool


class Reaper:
    def __init__(self, fleet: RedisFleet, mutant: str) -> None:
        self.fleet, self.mutant = fleet, mutant
        self.dice = random.Random(SEED)
        self.stay = [fleet.worker(f"stay{number}", "-c", "2", mutant=mutant) for number in range(2)]
        self.hosts = [self._host(number) for number in range(AT_ONCE)]
        self.next = AT_ONCE
        self.blows: list[Blow] = []

    def kill_a_host(self) -> None:
        """Another takes its place, under another name."""
        fleet, host = self.fleet, self.hosts.pop(0)
        fleet.until(lambda: bool(self._running(host)), 30.0, lambda: f"nothing runs on {host.name}")
        time.sleep(self.dice.uniform(0.0, 0.2))
        running = self._running(host)
        self.blows.append(Blow(kill_node(host), [line.key for line in running], host=True))
        fleet.workers.remove(host)
        self.hosts.append(self._host(self.next))
        self.next += 1

    def kill_a_child(self) -> None:
        fleet, node = self.fleet, self.dice.choice(self.stay)
        struck = {key for blow in self.blows for key in blow.keys}
        fresh: list[Line] = []

        def found() -> bool:
            fresh[:] = [line for line in self._running(node) if line.key not in struck]
            return bool(fresh)

        fleet.until(found, 30.0, lambda: f"nothing runs on {node.name}")
        line = self.dice.choice(fresh)
        os.kill(line.pid, signal.SIGKILL)
        self.blows.append(Blow(time.time(), [line.key], host=False))

    def waits(self, *, host: bool) -> list[float]:
        """Seconds until each task that was struck began again. One that had ended all the same does not."""
        starts, done = self.fleet.history.of("start"), self.fleet.history.of("done")
        found = []
        for blow in self.blows:
            for key in blow.keys:
                again = [line.at - blow.at for line in starts[key] if line.at > blow.at]
                ended = [line.at for line in done.get(key, ()) if line.at < blow.at + 0.05]
                if blow.host is host and (again or not ended):
                    found.append(min(again, default=float("inf")))
        return found

    def _host(self, number: int) -> Worker:
        return self.fleet.worker(f"host{number}", "-c", "2", mutant=self.mutant)

    def _running(self, worker: Worker) -> list[Line]:
        """The newest runs of a node that have not ended."""
        history = self.fleet.history
        history.read()
        ended = {(line.key, line.node) for line in history.lines[-400:] if line.what == "done"}
        begun = [line for line in history.lines[-400:] if line.what == "start" and line.node == worker.name]
        # No run takes longer than a second.
        return [line for line in begun if (line.key, line.node) not in ended and line.at > time.time() - 1.5]


def drill(server: RedisServer, folder: Path, hosts: int, mutant: str = "") -> dict[str, Any]:
    with Notary(server.port) as notary, RedisFleet(folder, server.url, lease=LEASE) as fleet:
        reaper = Reaper(fleet, mutant)
        fleet.source(name="p", threads=4, pause=0.1, seconds=(0.2, 0.6))
        fleet.ready()
        for _ in range(hosts):
            reaper.kill_a_host()
            reaper.kill_a_child()
            time.sleep(PAUSE)
        outcome = fleet.outcome(drain=LEASE * 4)
        by_host, by_child = reaper.waits(host=True), reaper.waits(host=False)
        twice = notary.twice()
    return {
        "lease_seconds": LEASE,
        "hosts_lost": hosts,
        "runs_lost_with_them": len(by_host),
        "began_elsewhere_seconds_max": round(max(by_host), 2),
        "began_elsewhere_seconds_median": round(sorted(by_host)[len(by_host) // 2], 2),
        "children_killed": len([blow for blow in reaper.blows if not blow.host]),
        "runs_lost_with_children": len(by_child),
        "began_again_seconds_max": round(max(by_child), 3),
        "began_again_seconds_median": round(sorted(by_child)[len(by_child) // 2], 3),
        **outcome,
        "terminal_twice": twice,
    }


def test_what_a_lost_host_ran_begins_elsewhere(own_redis: RedisServer, tmp_path: Path) -> None:
    report = drill(own_redis, tmp_path, HOSTS)

    keep("redis-host-lost", report)
    assert report["runs_lost_with_them"] >= HOSTS
    assert report["began_elsewhere_seconds_max"] <= LIMIT
    assert report["began_again_seconds_max"] <= CHILD_LIMIT
    assert (report["lost"], report["unexpected"], report["terminal_twice"], report["left"]) == (0, 0, 0, 0)
    assert set(report["exit_codes"]) == {0}
