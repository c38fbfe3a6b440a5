"""redis-frozen: Redis stands still, or is away, for three leases while every slot of three nodes is in a long task.
Nobody could renew a lease, so nobody is lost: each task runs once, and no process is killed.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import keep, size
from tests.e2e.redis.field import Notary, RedisFleet
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(1800, 300))]

LEASE = size(20.0, 2.0)
AWAY_SECONDS = size(60.0, 6.0)
TASK_SECONDS = size(300.0, 14.0)
TASKS = 20
ENDING = 3
"""Tasks beside them that end while Redis is away: their outcomes have to wait for it."""
POOLS = (("-P", "prefork", "-c", "8"), ("-P", "threads", "-c", "8"), ("-P", "threads", "-c", "8"))
Outage = Callable[[RedisServer], None]


def freeze(server: RedisServer) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        time.sleep(AWAY_SECONDS)
    finally:
        os.kill(server.pid, signal.SIGCONT)


def restart(server: RedisServer) -> None:
    server.kill()
    time.sleep(AWAY_SECONDS)
    server.start()


def drill(
    server: RedisServer, folder: Path, outage: Outage, mutant: str = "", patience: float = 30.0
) -> dict[str, Any]:
    with RedisFleet(folder, server.url, lease=LEASE) as fleet:
        for number, pool in enumerate(POOLS):
            fleet.worker(f"w{number}", *pool, mutant=mutant)
        fleet.source(name="long", count=TASKS, pause=0.02, seconds=(TASK_SECONDS, TASK_SECONDS))
        middle = AWAY_SECONDS / 2 + 2.0
        fleet.source(name="ending", count=ENDING, pause=0.02, seconds=(middle, middle))
        starts = fleet.history.of("start")
        fleet.until(lambda: fleet.history.running() == TASKS + ENDING, 60.0, lambda: f"only {len(starts)} run")
        before = {line.key: line.pid for lines in starts.values() for line in lines}
        began = time.monotonic()
        outage(server)
        away = time.monotonic() - began
        with Notary(server.port) as notary:
            with suppress(AssertionError):
                fleet.until(lambda: all(f"ending-{n}" in fleet.ended() for n in range(ENDING)), patience)
            settled_after = time.monotonic() - began - away
            outcome = fleet.outcome(stop=TASK_SECONDS, drain=TASK_SECONDS + patience)
            twice = notary.twice()
        done = {line.key: line.pid for lines in fleet.history.of("done").values() for line in lines}
        executions = sum(map(len, fleet.history.of("start").values()))
    return {
        "lease_seconds": LEASE,
        "away_seconds": round(away, 1),
        "task_seconds": TASK_SECONDS,
        "tasks": TASKS + ENDING,
        "executions": executions,
        "kills": sum(done.get(key) != pid for key, pid in before.items()),
        "ended_while_it_was_away": ENDING,
        "settled_after_seconds": round(settled_after, 2),
        **outcome,
        "terminal_twice": twice,
    }


@pytest.mark.parametrize("outage", [freeze, restart])
def test_an_outage_of_three_leases_runs_nothing_twice(outage: Outage, own_redis: RedisServer, tmp_path: Path) -> None:
    report = drill(own_redis, tmp_path, outage)

    keep(f"redis-frozen-{outage.__name__}", report)
    assert (report["executions"], report["kills"]) == (TASKS + ENDING, 0)
    assert report["settled_after_seconds"] <= 5.0
    assert (report["lost"], report["again"], report["terminal_twice"], report["left"]) == (0, 0, 0, 0)
    assert report["stale_refused"] == 0
    assert set(report["exit_codes"]) == {0}
