"""redis-failover: the master dies, or stands still, under load; the sentinels make its replica the master. Everybody finds
it and consumes again. Redis confirms before its replica has a message: lost is what the old master confirmed in its last
moment, and what one that wakes up confirms before the sentinels have told it that it is none any more. The loss is
counted, and each lost send must be of these.

With `wait_replicas` a send is confirmed when a replica has it, and nothing is lost.
"""

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.e2e.redis.field import Comebacks, RedisFleet
from tests.servers.availability import redis_server, require
from tests.servers.sentinel import DOWN_AFTER_SECONDS, SentinelFleet

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

WORKERS = 3
FAILOVERS = size(10, 2)
BACK_SECONDS = 8.0
"""Who has asked a master that stands still waits six seconds for the answer (`publish_timeout`), and then asks anew."""
LAST_MOMENT = 1.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`replicas`: how many must have a send before it is confirmed."""

    failovers: int = FAILOVERS
    replicas: int = 0
    mutant: str = ""
    patience: float = 60.0


def drill(servers: SentinelFleet, folder: Path, plan: Plan) -> dict[str, Any]:
    dice = random.Random(SEED)
    struck = running = 0
    elections: list[float] = []
    windows: list[tuple[float, float]] = []
    with RedisFleet(folder, servers.url, broker_transport_options={"wait_replicas": plan.replicas}) as fleet:
        for number in range(WORKERS):
            fleet.worker(f"w{number}", "-c", "1", mutant=plan.mutant)
        common: dict[str, Any] = {"seconds": (0.01, 0.05), "mutant": plan.mutant}
        fleet.source(name="steady", threads=3, pause=0.1, **common)
        fleet.source(name="asking", face="async", threads=3, pause=0.1, results=True, patience=15.0, **common)
        fleet.ready()
        comebacks = Comebacks(fleet)
        for number in range(plan.failovers):
            time.sleep(dice.uniform(0.5, 1.5))
            servers.replicated()
            fleet.until(lambda: bool(fleet.open()), 10.0, lambda: "nothing is under way")
            struck += bool(fleet.open())
            running += fleet.history.running()
            end = time.time()
            old, serving = servers.fail_over(freeze=bool(number % 2))
            elections.append(serving - end)
            comebacks.all_back(serving, plan.patience)
            windows += [(end - LAST_MOMENT, end + 0.1), servers.back(old)]
        outcome = fleet.outcome(drain=5.0)
        at = {key: lines[0].at for key, lines in fleet.history.of("confirmed").items()}
        unexplained = [key for key in fleet.open() if not any(a < at[key] < b + 0.1 for a, b in windows)]
    return {
        "failovers": plan.failovers,
        "wait_replicas": plan.replicas,
        "down_after_seconds": DOWN_AFTER_SECONDS,
        "failovers_that_struck": struck,
        "runs_that_were_cut_off": running,
        "without_a_master_seconds_max": round(max(elections), 2),
        **comebacks.told(BACK_SECONDS),
        **outcome,
        "lost_unexplained": len(unexplained),
    }


@pytest.mark.parametrize("replicas", size([0, 1], [1]))
def test_a_failover_loses_at_most_what_no_replica_had(replicas: int, tmp_path: Path) -> None:
    require(redis_server)
    # One more than must follow: while one is down nothing would be confirmed, and nobody had work to come back to.
    with SentinelFleet(durable=True, replicas=1 + replicas) as servers:
        report = drill(servers, tmp_path, Plan(replicas=replicas))

    keep(f"redis-failover{'-with-replicas' if replicas else ''}", report)
    assert report["failovers_that_struck"] * 2 >= FAILOVERS
    assert report["consumed_again"] == WORKERS * FAILOVERS
    assert report["late"] == 0
    assert (report["lost_unexplained"], report["unexpected"], report["left"]) == (0, 0, 0)
    assert report["missing_results"] <= report["lost"]
    assert not replicas or report["lost"] == 0
    assert report["slowest_send"] <= 11.0
    assert set(report["exit_codes"]) == {0}
