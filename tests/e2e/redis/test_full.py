"""redis-full: Redis has no memory left and refuses what takes more (`noeviction`). Sends fail at once and say so; what is
claimed is settled, what waits is worked off, what is due comes; nothing is lost; with room again everything goes on.
"""

import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import keep, size
from tests.e2e.redis.field import Notary, RedisFleet
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(1800, 300))]

TIMES = size(20, 2)
FULL_SECONDS = size(25.0, 3.0)
"""Longer than a lease: nobody may be lost for it."""
LEASE = size(20.0, 2.0)
BACKLOG = 40
MARGIN = "100kb"


def drill(server: RedisServer, folder: Path, times: int, mutant: str = "", patience: float = 30.0) -> dict[str, Any]:
    settled, struck = 0, 0
    with Notary(server.port) as notary, RedisFleet(folder, server.url, lease=LEASE) as fleet:
        for number in range(2):
            fleet.worker(f"w{number}", "-c", "2", mutant=mutant)
        common: dict[str, Any] = {"seconds": (0.02, 0.08), "pause": 0.1}
        fleet.source(name="steady", threads=2, **common)
        fleet.source(name="late", late=1.0, **common)
        fleet.source(name="asking", face="async", threads=2, results=True, **common)
        fleet.ready()
        for number in range(times):
            backlog = fleet.source(name=f"backlog{number}", count=BACKLOG, seconds=(0.05, 0.1), pause=0.0)
            name = f"backlog{number}-"
            fleet.until(lambda n=name: _count(fleet, "confirmed", n) == BACKLOG, 30.0)
            open_before = fleet.open()
            struck += bool(open_before)
            # Less than is in use: refused at once.
            server.call("CONFIG", "SET", "maxmemory", MARGIN)
            began = time.time()
            fleet.until(lambda waited=open_before: not waited & fleet.open(), patience, lambda: "not all is settled")
            settled += len(open_before)
            fleet.until(
                lambda since=began: any(line.at > since + 0.5 for line in _refused(fleet)),
                15.0,
                lambda: "no send fails",
            )
            time.sleep(max(0.0, began + FULL_SECONDS - time.time()))
            server.call("CONFIG", "SET", "maxmemory", "0")
            room = time.time()
            fleet.until(
                lambda since=room: any(lines[0].at > since for lines in fleet.history.of("done").values()), 15.0
            )
            fleet.sources.remove(backlog)
            backlog.stop()
        outcome = fleet.outcome()
        twice, unclear = notary.twice(), [line for line in _refused(fleet) if "OOM" not in line.note]
    return {
        "times_full": times,
        "times_that_struck": struck,
        "full_seconds": FULL_SECONDS,
        "lease_seconds": LEASE,
        "open_when_it_was_full_and_settled": settled,
        "sends_refused": len(_refused(fleet)),
        "refused_without_saying_why": len(unclear),
        **outcome,
        "terminal_twice": twice,
    }


def _count(fleet: RedisFleet, what: str, name: str) -> int:
    return sum(key.startswith(name) for key in fleet.history.of(what))


def _refused(fleet: RedisFleet) -> list[Any]:
    fleet.history.read()
    return [line for line in fleet.history.lines if line.what in ("failed", "unknown")]


def test_a_full_memory_stops_sends_and_nothing_else(own_redis: RedisServer, tmp_path: Path) -> None:
    report = drill(own_redis, tmp_path, TIMES)

    keep("redis-full", report)
    assert report["times_that_struck"] == TIMES
    assert report["sends_refused"] > 0
    assert report["refused_without_saying_why"] == 0
    assert report["slowest_send"] <= 11.0
    assert (report["lost"], report["again"], report["unexpected"], report["terminal_twice"]) == (0, 0, 0, 0)
    assert (report["missing_results"], report["left"]) == (0, 0)
    assert set(report["exit_codes"]) == {0}
