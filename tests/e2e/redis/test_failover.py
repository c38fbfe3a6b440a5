"""redis-failover: the master dies, or stands still, under load; the sentinels make its replica the master. Everybody finds
it and consumes again. Redis confirms before its replica has a message: lost is what the old master confirmed in its last
moment, and what one that wakes up confirms before the sentinels have told it that it is none any more. The loss is
counted, and each lost send must be of these.

With `wait_replicas` a send is confirmed when a replica has it, and nothing is lost.
"""

import random
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.e2e.redis.field import Comebacks, RedisFleet
from tests.servers.sentinel import DOWN_AFTER_SECONDS, SentinelFleet

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

WORKERS = 3
FAILOVERS = size(10, 2)
BACK_SECONDS = 8.0
"""Who has asked a master that stands still waits six seconds for the answer (`publish_timeout`), and then asks anew."""
LAST_MOMENT = 1.0


def drill(servers: SentinelFleet, folder: Path, failovers: int, mutant: str = "", patience: float = 60.0) -> Any:
    dice = random.Random(SEED)
    struck = running = 0
    elections: list[float] = []
    windows: list[tuple[float, float]] = []
    with RedisFleet(folder, servers.url) as fleet:
        for number in range(WORKERS):
            fleet.worker(f"w{number}", "-c", "1", mutant=mutant)
        common: dict[str, Any] = {"seconds": (0.01, 0.05), "mutant": mutant}
        fleet.source(name="steady", threads=3, pause=0.1, **common)
        fleet.source(name="asking", face="async", threads=3, pause=0.1, results=True, patience=8.0, **common)
        fleet.ready()
        comebacks = Comebacks(fleet)
        for number in range(failovers):
            time.sleep(dice.uniform(0.5, 1.5))
            servers.replicated()
            struck += bool(fleet.open())
            running += fleet.history.running()
            end = time.time()
            old, serving = servers.fail_over(freeze=bool(number % 2))
            elections.append(serving - end)
            comebacks.all_back(serving, patience)
            windows += [(end - LAST_MOMENT, end + 0.1), servers.back(old)]
        outcome = fleet.outcome(drain=5.0)
        at = {key: lines[0].at for key, lines in fleet.history.of("confirmed").items()}
        unexplained = [key for key in fleet.open() if not any(a < at[key] < b + 0.1 for a, b in windows)]
    return {
        "failovers": failovers,
        "down_after_seconds": DOWN_AFTER_SECONDS,
        "failovers_that_struck": struck,
        "runs_that_were_cut_off": running,
        "without_a_master_seconds_max": round(max(elections), 2),
        **comebacks.told(BACK_SECONDS),
        **outcome,
        "lost_unexplained": len(unexplained),
    }


def test_a_failover_loses_at_most_what_was_confirmed_in_the_last_moment(
    own_sentinels: SentinelFleet, tmp_path: Path
) -> None:
    report = drill(own_sentinels, tmp_path, FAILOVERS)

    keep("redis-failover", report)
    assert report["failovers_that_struck"] * 2 >= FAILOVERS
    assert report["consumed_again"] == WORKERS * FAILOVERS
    assert report["late"] == 0
    assert (report["lost_unexplained"], report["unexpected"], report["left"]) == (0, 0, 0)
    assert report["missing_results"] <= report["lost"]
    assert report["slowest_send"] <= 11.0
    assert set(report["exit_codes"]) == {0}
