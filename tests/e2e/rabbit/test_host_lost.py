"""rabbit-host-lost: a host vanishes from the network without a word. What its workers ran starts elsewhere within forty
seconds; what a caller there sends or waits for ends within its own time.
"""

import random
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.e2e.fleet import Fleet
from tests.servers.proxy import Proxy
from tests.servers.rabbit.remote import Rabbit, Vhost

from leveret.config.settings import Settings

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

SHIPPED = Settings().broker_heartbeat
HEARTBEAT = size(SHIPPED, 3.0)
LIMIT = 40.0 * HEARTBEAT / SHIPPED
ROUNDS = size(10, 1)
PUBLISH_TIMEOUT = size(10.0, 3.0)
WAIT_SECONDS = size(15.0, 4.0)
MOST_LONG = 16


class Vanishing:
    """One round: the host runs two tasks and holds its callers' connections; then nothing gets through any more."""

    def __init__(self, fleet: Fleet, host: Proxy, door: str, number: int, mutant: str) -> None:
        self.fleet, self.host, self.number = fleet, host, number
        self.name = f"lost{number}"
        common: dict[str, Any] = {"publish_timeout": PUBLISH_TIMEOUT, "broker_heartbeat": HEARTBEAT}
        self.worker = fleet.worker(self.name, "-c", "2", broker=door, mutant=mutant, **common)
        callers: dict[str, Any] = {"broker": door, "settings": common, "results": True, "pause": 0.2}
        plan = {"seconds": (0.01, 0.02), "patience": WAIT_SECONDS, **callers}
        self.callers = [fleet.source(name=f"{self.name}-{face}", face=face, **plan) for face in ("sync", "async")]

    def vanish(self, dice: random.Random) -> tuple[list[float], list[float]]:
        """Answer after how many seconds its tasks began elsewhere, and how long its callers' calls took at most."""
        fleet, history = self.fleet, self.fleet.history
        fleet.ready()
        # One after the other, until both slots of the host are taken: the broker decides who gets each.
        seconds = (LIMIT * 3, LIMIT * 3)
        long = fleet.source(name=f"{self.name}-long", count=MOST_LONG, seconds=seconds, ignored=True, pause=0.3)
        fleet.sources.remove(long)

        def mine() -> list[str]:
            found = history.of("start")
            return [k for k in found if k.startswith(f"{self.name}-long") and found[k][0].node == self.worker.name]

        fleet.until(lambda: len(mine()) == 2, 30.0, lambda: f"{mine()} run on {self.worker.name}")
        long.stop()
        # Anywhere between two heartbeats.
        time.sleep(dice.uniform(0.0, HEARTBEAT / 2))
        running, gone = mine(), time.time()
        self.host.blackhole()

        def elsewhere() -> list[float]:
            starts = history.of("start")
            again = [[line.at for line in starts[key] if line.node != self.worker.name] for key in running]
            return [min(times) - gone for times in again if times]

        fleet.until(lambda: len(elsewhere()) == 2, LIMIT * 2, lambda: f"only {elsewhere()} began elsewhere")
        figures = []
        for caller in self.callers:
            fleet.sources.remove(caller)
            figures.append(caller.stop(PUBLISH_TIMEOUT * 2 + WAIT_SECONDS * 2))
        self.worker.end()
        fleet.workers.remove(self.worker)
        self.host.blackhole(False)
        return elsewhere(), [figure.slowest_send for figure in figures]


def drill(rabbit: Rabbit, vhost: Vhost, folder: Path, rounds: int, mutant: str = "") -> dict[str, Any]:
    dice = random.Random(SEED)
    waits: list[float] = []
    sends: list[float] = []
    with Fleet(folder, vhost.url) as fleet:
        # Room for everything that the lost host ran, beside what runs here.
        fleet.worker("here", "-P", "threads", "-c", str(20 * rounds))
        for number in range(rounds):
            with Proxy(rabbit.port) as host:
                door = rabbit.url_of(vhost.name, port=host.port)
                began, slowest = Vanishing(fleet, host, door, number, mutant).vanish(dice)
            waits += began
            sends += slowest
    return {
        "heartbeat": HEARTBEAT,
        "limit_seconds": LIMIT,
        "hosts_lost": rounds,
        "runs_lost_with_them": len(waits),
        "began_elsewhere_seconds_max": round(max(waits), 2),
        "began_elsewhere_seconds_median": round(sorted(waits)[len(waits) // 2], 2),
        "slowest_send": max(sends),
    }


def test_what_a_vanished_host_ran_starts_elsewhere(rabbit: Rabbit, rabbit_vhost: Vhost, tmp_path: Path) -> None:
    report = drill(rabbit, rabbit_vhost, tmp_path, ROUNDS)

    keep("rabbit-host-lost", report)
    assert report["runs_lost_with_them"] == 2 * ROUNDS
    assert report["began_elsewhere_seconds_max"] <= LIMIT
    assert report["slowest_send"] <= PUBLISH_TIMEOUT + 1.0
