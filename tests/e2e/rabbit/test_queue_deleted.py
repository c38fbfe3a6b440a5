"""rabbit-queue-deleted: somebody deletes the queue under its consumers. They make it again and go on; what ran goes on;
a send that meets the gap makes it too. What stood in the queue is gone: that was asked for.
"""

import random
import time
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.e2e.fleet import Fleet
from tests.servers.rabbit.remote import Rabbit, Vhost, binary

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

DELETIONS = size(30, 3)
WORKERS = 2


class Deletions:
    def __init__(self, rabbit: Rabbit, vhost: Vhost, fleet: Fleet) -> None:
        self.rabbit, self.vhost, self.fleet = rabbit, vhost, fleet
        self.dice = random.Random(SEED)
        self.backs: list[float] = []
        self.struck = 0
        self.windows: list[tuple[float, float]] = []

    def once(self) -> None:
        time.sleep(self.dice.uniform(0.3, 1.0))
        self.struck += bool(self.fleet.history.running())
        began = time.time()
        self.rabbit.evaluate(
            f"{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r({binary(self.vhost.name)}, queue, "
            '<<"default">>)), rabbit_amqqueue:delete(Queue, false, false, <<"somebody">>).'
        )
        deleted = time.time()

        def all_back() -> bool:
            fresh = {
                line.node for lines in self.fleet.history.of("start").values() for line in lines if line.at > deleted
            }
            return len(fresh) == WORKERS

        self.fleet.until(all_back, 30.0, lambda: "not all consume again")
        self.backs.append(time.time() - deleted)
        self.windows.append((began - 0.2, deleted + 0.2))


def drill(rabbit: Rabbit, vhost: Vhost, folder: Path, deletions: int, mutant: str = "") -> dict[str, Any]:
    with Fleet(folder, vhost.url) as fleet:
        for number in range(WORKERS):
            fleet.worker(f"w{number}", "-c", "2", mutant=mutant)
        common: dict[str, Any] = {"seconds": (0.08, 0.2), "pause": 0.15, "mutant": mutant}
        fleet.source(name="threads", threads=2, ignored=True, **common)
        fleet.source(name="loop", face="async", threads=3, results=True, patience=6.0, **common)
        fleet.ready()
        deleting = Deletions(rabbit, vhost, fleet)
        for _ in range(deletions):
            deleting.once()
        figures = fleet.stop_sources()
        fleet.drained(5.0)
        codes = [worker.stop() for worker in fleet.workers]
        verdict = fleet.judge()
        # A call that had been confirmed before its queue was deleted, and had not begun, went with the queue.
        began = set(fleet.history.of("start"))
        confirmed = {key: lines[0].at for key, lines in fleet.history.of("confirmed").items()}
        gone = {key for key in confirmed if key not in began}
        last = max(end for _, end in deleting.windows)
    return {
        "deletions": deletions,
        "deletions_that_struck": deleting.struck,
        "back_seconds_max": round(max(deleting.backs), 2),
        "confirmed": verdict.confirmed,
        "unknown": verdict.unknown,
        "failed": verdict.failed,
        "deleted_with_the_queue": len(gone),
        "begun_and_not_ended": verdict.lost - len(gone),
        "lost_after_the_last_deletion": sum(confirmed[key] > last for key in gone),
        "again": verdict.again,
        "missing_results_of_ended": sum(key in fleet.history.of("done") for key in fleet.history.of("missing")),
        "slowest_send": max(figure.slowest_send for figure in figures),
        "exit_codes": codes,
    }


def test_consumers_and_senders_make_a_deleted_queue_again(rabbit: Rabbit, rabbit_vhost: Vhost, tmp_path: Path) -> None:
    report = drill(rabbit, rabbit_vhost, tmp_path, DELETIONS)

    keep("rabbit-queue-deleted", report)
    assert report["deletions_that_struck"] * 2 >= DELETIONS
    assert report["back_seconds_max"] <= 8.0
    assert (report["begun_and_not_ended"], report["lost_after_the_last_deletion"]) == (0, 0)
    assert (report["failed"], report["unknown"], report["missing_results_of_ended"]) == (0, 0, 0)
    assert set(report["exit_codes"]) == {0}
