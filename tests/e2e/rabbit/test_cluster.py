"""rabbit-cluster: of three brokers the one that leads the queue is killed under load. The others go on: nothing
confirmed is lost, and every worker consumes again. `make chaos` only: three brokers are much for a CI machine.
"""

import random
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import FULL, SEED, keep, size
from tests.e2e.fleet import Fleet
from tests.servers.availability import rabbitmq_home, require
from tests.servers.cluster import RabbitCluster

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

KILLS = size(10, 1)
WORKERS = 3


class Leaders:
    def __init__(self, cluster: RabbitCluster, fleet: Fleet, patience: float) -> None:
        self.cluster, self.fleet, self.patience = cluster, fleet, patience
        self.dice = random.Random(SEED)
        self.struck, self.running = 0, 0
        self.backs: list[float] = []

    def once(self) -> None:
        fleet = self.fleet
        time.sleep(self.dice.uniform(1.0, 2.0))
        leader = self.cluster.leader("default")
        self.struck += bool(fleet.open())
        self.running += fleet.history.running()
        self.cluster.kill(leader)
        killed = time.time()
        backs: dict[str, float] = {}

        def all_back() -> bool:
            for lines in fleet.history.of("start").values():
                for line in lines:
                    # What was claimed before the kill begins within a moment, or not at all.
                    if line.at > killed + 0.5:
                        backs[line.node] = min(line.at - killed, backs.get(line.node, 600.0))
            return len(backs) == WORKERS

        fleet.until(all_back, self.patience, lambda: f"only {backs} consume again")
        self.backs += backs.values()
        self.cluster.restart(leader)


def drill(cluster: RabbitCluster, folder: Path, kills: int, mutant: str = "", patience: float = 90.0) -> dict[str, Any]:
    urls = ";".join(node.url for node in cluster.nodes)
    with Fleet(folder, urls, result_persistent=True, broker_failover_strategy="shuffle") as fleet:
        for number in range(WORKERS):
            fleet.worker(f"w{number}", "-c", "1", mutant=mutant)
        common: dict[str, Any] = {"seconds": (0.01, 0.05), "mutant": mutant}
        fleet.source(name="threads", threads=2, pause=0.05, ignored=True, **common)
        fleet.source(name="loop", face="async", threads=3, pause=0.05, results=True, **common)
        fleet.ready()
        for node in cluster.nodes:
            node.sync()
        leaders = Leaders(cluster, fleet, patience)
        for _ in range(kills):
            leaders.once()
        outcome = fleet.outcome()
    return {
        "leaders_killed": kills,
        "kills_that_struck": leaders.struck,
        "runs_under_way": leaders.running,
        "back_seconds_max": round(max(leaders.backs), 2),
        **outcome,
    }


@pytest.mark.skipif(not FULL, reason="three brokers: in make chaos")
def test_a_killed_leader_loses_nothing(tmp_path: Path) -> None:
    require(rabbitmq_home)
    with RabbitCluster() as cluster:
        report = drill(cluster, tmp_path, KILLS)

    keep("rabbit-cluster", report)
    assert report["kills_that_struck"] * 2 >= KILLS
    assert (report["lost"], report["unexpected"]) == (0, 0)
    assert report["back_seconds_max"] <= 40.0
    assert report["slowest_send"] <= 11.0
    assert set(report["exit_codes"]) == {0}
