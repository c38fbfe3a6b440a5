"""rabbit-restarts: the broker is killed under load, again and again. Everybody consumes again within five seconds of
its accepting connections, and nothing confirmed is lost, on the queue, on the ladder of delays, or on the way back.
"""

import random
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.e2e.fleet import Fleet
from tests.servers.rabbit.remote import answers
from tests.servers.rabbitmq import RabbitServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

WORKERS = 5
KILLS = size(20, 2)
BACK_SECONDS = 5.0


class Restarts:
    """Kills and starts; times when each worker began a task again."""

    def __init__(self, server: RabbitServer, fleet: Fleet) -> None:
        self.server, self.fleet = server, fleet
        self.dice = random.Random(SEED)
        self.backs: list[float] = []
        self.struck = 0
        self.running = 0

    def once(self) -> None:
        fleet = self.fleet
        time.sleep(self.dice.uniform(0.2, 1.5))
        # In the queue, on the ladder, running, or on its way back.
        self.struck += bool(fleet.open())
        self.running += fleet.history.running()
        self.server.kill()
        time.sleep(self.dice.uniform(0.0, 3.0))
        accepting = self._start()
        backs: dict[str, float] = {}

        def all_back() -> bool:
            for lines in fleet.history.of("start").values():
                for line in lines:
                    if line.at > accepting:
                        backs[line.node] = min(line.at - accepting, backs.get(line.node, 60.0))
            return len(backs) == WORKERS

        fleet.until(all_back, 60.0, lambda: f"only {backs} consume again")
        self.backs += backs.values()

    def _start(self) -> float:
        """Answer when connections are accepted."""
        self.server.launch()
        while not answers(self.server.port):
            time.sleep(0.01)
        accepting = time.time()
        self.server.wait()
        return accepting


def drill(server: RabbitServer, folder: Path, kills: int, mutant: str = "") -> dict[str, Any]:
    with Fleet(folder, server.url, result_persistent=True) as fleet:
        for number in range(WORKERS):
            fleet.worker(f"w{number}", "-c", "1", mutant=mutant)
        common: dict[str, Any] = {"seconds": (0.01, 0.05), "mutant": mutant}
        # Nearly as much as five slots can do: whoever is back finds work at once, and no result waits behind a backlog.
        fleet.source(name="steady", threads=3, pause=0.04, ignored=True, **common)
        fleet.source(name="late", threads=1, pause=0.05, late=0.5, twice=0.5, ignored=True, **common)
        fleet.source(name="asking", face="async", threads=5, pause=0.05, results=True, **common)
        fleet.ready()
        # RabbitMQ 3.10 never elects a leader for a quorum queue that was made within a second of a kill.
        fleet.until(lambda: len([key for key in fleet.ended() if key.startswith("late")]) > 8, 30.0)
        server.sync()
        restarts = Restarts(server, fleet)
        for _ in range(kills):
            restarts.once()
        outcome = fleet.outcome()
        return {
            "kills": kills,
            "kills_that_struck": restarts.struck,
            "runs_that_were_cut_off": restarts.running,
            "consumed_again": len(restarts.backs),
            "back_seconds_max": round(max(restarts.backs), 2),
            "back_seconds_median": round(sorted(restarts.backs)[len(restarts.backs) // 2], 2),
            "late": sum(back > BACK_SECONDS for back in restarts.backs),
            **outcome,
        }


def test_all_consume_again_within_five_seconds_and_nothing_confirmed_is_lost(
    own_rabbit: RabbitServer, tmp_path: Path
) -> None:
    report = drill(own_rabbit, tmp_path, KILLS)

    keep("rabbit-restarts", report)
    assert report["kills_that_struck"] * 2 >= KILLS
    assert report["consumed_again"] == WORKERS * KILLS
    assert report["late"] == 0
    assert (report["lost"], report["unexpected"], report["missing_results"]) == (0, 0, 0)
    assert report["slowest_send"] <= 11.0
    assert set(report["exit_codes"]) == {0}
