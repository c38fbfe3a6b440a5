"""redis-mixed: kills on both sides of one queue. A task is ours from the moment our claim script returned it: 0 lost.

CI sends a tenth; LEVERET_CHAOS=full sends 5,000 and writes bench/results/redis-mixed.json.
"""

import json
import os
import time

import kombu
import pytest
from tests.e2e.drill import keep
from tests.interop.redis.drill import Drill, Size
from tests.interop.sides.processes import until
from tests.interop.sides.sites import RedisSite

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
FULL = os.environ.get("LEVERET_CHAOS") == "full"
SIZE = Size(tasks=5000, kills=10) if FULL else Size(tasks=500, kills=1)


def test_nothing_that_was_ours_is_lost_when_either_side_dies(site: RedisSite) -> None:
    report = Drill(site, SIZE).perform()

    keep("redis-mixed", report)
    assert report["lost"] == 0
    assert report["taken from a living node"] == 0
    assert min(report["runs"].values()) >= SIZE.tasks // 5, report
    # At most what each killed Celery process may have had between BRPOP and its record.
    assert report["vanished in a dying Celery worker"] <= SIZE.kills, report


def test_messages_that_go_with_their_session_are_missed(site: RedisSite) -> None:
    report = Drill(site, Size(tasks=100, kills=1, seconds=0.05, mutant="heedless")).perform()

    assert report["lost"] > 0


def test_a_celery_worker_restores_its_own_and_nothing_of_a_living_node(site: RedisSite) -> None:
    """Kombu's own sweep, with a visibility timeout of a second, while our task runs for three."""
    site.start("leveret", "leveret", ["-P", "threads", "-c", "2", "-Q", "work"])
    site.until_run_by("leveret", "work")
    client = site.client("leveret")
    client.send_task("interop.count", (1, 3.0), queue="work")
    client.send_task("interop.count", (2, 0.0), queue="theirs")
    options = {"visibility_timeout": 1}
    with (
        kombu.Connection(site.broker_url, transport_options=options) as holder,
        kombu.Connection(site.broker_url, transport_options=options) as sweeper,
        site.store() as store,
    ):
        assert holder.channel().basic_get("theirs") is not None
        time.sleep(1.1)  # the timeout itself

        sweeper.channel().qos.restore_visible(num=100, interval=1)

        assert store.llen("theirs") == 1
        assert store.llen("work") == 0
        until(lambda: store.hlen("unacked") == 0)
    site.notes.wait(count=1)
    until(lambda: any(note.get("count") == 1 for note in site.notes.all()))
    assert len([note for note in site.notes.all() if note.get("count") == 1]) == 1


def test_a_visibility_timeout_is_not_needed_and_one_line_says_so(site: RedisSite) -> None:
    settings = json.dumps({"broker_transport_options": {"visibility_timeout": 1}})
    worker = site.start("leveret", "leveret", ["-P", "solo", "-Q", "work"], INTEROP_SETTINGS=settings)
    site.until_run_by("leveret", "work")

    assert worker.log.count("visibility_timeout") == 1
