"""redis-joins: headers run half by Celery's workers and half by ours, with kills on both sides: one body for each.

CI kills each side once; LEVERET_CHAOS=full ten times and writes bench/results/redis-joins.json.
"""

import os

import pytest
from tests.e2e.drill import keep
from tests.interop.canvas.drill import Drill, Size
from tests.interop.canvas.fleet import Fleet

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
FULL = os.environ.get("LEVERET_CHAOS") == "full"
SIZE = Size(chords=30, kills=10) if FULL else Size(chords=10, kills=1)


def test_a_header_shared_by_both_sides_has_one_body(fleet: Fleet) -> None:
    report = Drill(fleet, SIZE).perform()

    keep("redis-joins", report)
    vanished = report["vanished in a dying Celery worker"]
    assert report["lost"] == 0, report
    assert vanished <= 2 * SIZE.kills, report
    assert report["bodies"] == 2 * SIZE.kills * SIZE.chords - vanished, report
    published = report["bodies by how often they were published"]
    assert published.keys() <= {"1", "0"} and published["1"] >= report["bodies"], report
    assert min(report["member runs"].values()) >= SIZE.chords * SIZE.members // 5, report
