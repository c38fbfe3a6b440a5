"""redis-restarts: Redis is killed under load, again and again. Everybody consumes again within five seconds of its
answering, and with `appendfsync always` nothing confirmed is lost, in the lists, among the delayed, or on the way back.

With `everysec` the power goes: what the disk has not is lost, and no more than that.
"""

import random
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import FULL, SEED, keep, size
from tests.e2e.redis.field import Comebacks, RedisFleet
from tests.servers.redis import RedisOptions, RedisServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

WORKERS = 5
KILLS = size(20, 2)
BACK_SECONDS = 5.0
POWER_CUTS = size(10, 2)
LOST_SECONDS = 1.0
"""What `everysec` may lose, and what is cut off the file here."""


def drill(
    server: RedisServer, folder: Path, kills: int, *, mutant: str = "", forgets: bool = False, patience: float = 60.0
) -> dict[str, Any]:
    dice = random.Random(SEED)
    struck = running = 0
    forgotten: list[tuple[float, float]] = []
    with RedisFleet(folder, server.url) as fleet:
        for number in range(WORKERS):
            fleet.worker(f"w{number}", "-c", "1", mutant=mutant)
        if forgets:
            # Whose runs outlast the outage, when Redis has forgotten that it ever gave them out.
            fleet.worker("slow", "-P", "threads", "-c", "8", mutant=mutant)
            fleet.source(name="slow", threads=2, pause=0.4, seconds=(0.5, 2.0))
        common: dict[str, Any] = {"seconds": (0.01, 0.05), "mutant": mutant}
        # Nearly as much as five slots can do: whoever is back finds work at once, and no result waits behind a backlog.
        fleet.source(name="steady", threads=3, pause=0.04, **common)
        fleet.source(name="late", threads=1, pause=0.05, late=0.5, twice=0.5, **common)
        fleet.source(
            name="asking",
            face="async",
            threads=5,
            pause=0.05,
            results=True,
            patience=min(patience, 20.0),
            **common,
        )
        fleet.ready()
        comebacks = Comebacks(fleet)
        for _ in range(kills):
            time.sleep(dice.uniform(0.2, 1.5))
            if forgets:
                kept = Journal(server)
                time.sleep(LOST_SECONDS)
            # In a list, among the delayed, running, or on its way back.
            struck += bool(fleet.open())
            running += fleet.history.running()
            server.kill()
            if forgets:
                kept.cut_off()
                forgotten.append((kept.at, time.time()))
            time.sleep(dice.uniform(0.0, 3.0))
            server.start()
            comebacks.all_back(time.time())
        # What is lost does not end; everything else does at once.
        outcome = fleet.outcome(drain=patience)
        at = {key: lines[0].at for key, lines in fleet.history.of("confirmed").items()}
        lost = fleet.open()
        # A task may be confirmed before the cut and end within the second that is forgotten: then it runs again.
        unexplained = [key for key in lost if not any(since - 0.5 < at[key] < until for since, until in forgotten)]
    return {
        "kills": kills,
        "kills_that_struck": struck,
        "runs_that_were_cut_off": running,
        **comebacks.told(BACK_SECONDS),
        **outcome,
        "lost_unexplained": len(unexplained),
    }


class Journal:
    """The append-only file as the disk had it a while ago."""

    def __init__(self, server: RedisServer) -> None:
        folder = server.folder / "data" / "appendonlydir"
        self._files = [path for path in folder.iterdir() if path.name.endswith(".aof")]
        self._sizes = [path.stat().st_size for path in self._files]
        self.at = time.time()

    def cut_off(self) -> None:
        for path, length in zip(self._files, self._sizes, strict=True):
            with path.open("r+b") as file:
                file.truncate(length)


def test_all_consume_again_within_five_seconds_and_nothing_confirmed_is_lost(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    report = drill(own_redis, tmp_path, KILLS)

    keep("redis-restarts", report)
    assert report["kills_that_struck"] * 2 >= KILLS
    assert report["consumed_again"] == WORKERS * KILLS
    assert report["late"] == 0
    assert (report["lost"], report["unexpected"], report["missing_results"]) == (0, 0, 0)
    assert (report["problems"], report["left"]) == ([], 0)
    assert report["slowest_send"] <= 11.0
    assert set(report["exit_codes"]) == {0}


@pytest.mark.skipif(not FULL, reason="takes half a minute: make chaos DRILL=redis-restarts")
def test_a_power_cut_with_everysec_loses_what_the_last_second_brought_and_no_more(tmp_path: Path) -> None:
    conf = ("appendonly yes", "appendfsync everysec")
    with RedisServer(RedisOptions(conf=conf)) as server:
        report = drill(server, tmp_path, POWER_CUTS, forgets=True, patience=5.0)

    keep("redis-power-cuts", report)
    assert report["consumed_again"] == (WORKERS + 1) * POWER_CUTS
    assert report["late"] == 0
    assert (report["lost_unexplained"], report["unexpected"], report["left"]) == (0, 0, 0)
    assert set(report["exit_codes"]) == {0}
