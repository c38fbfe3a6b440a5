"""kill-rabbitmq: the kill test with RabbitMQ as the broker and a store for the outcomes, which fences them: a SQLite file,
or Redis."""

import sys
from pathlib import Path

import pytest
from tests.e2e.drill import keep
from tests.e2e.kill_drill import SIZE, perform
from tests.servers.rabbit.remote import Vhost
from tests.servers.redis import RedisServer

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(sys.platform != "linux", reason="slot pages are looked for in /dev/shm, processes in /proc"),
]


@pytest.mark.parametrize("pool", ["prefork", "threads", "asyncio"])
def test_nothing_is_lost_and_only_killers_are_parked(pool: str, rabbit_vhost: Vhost, tmp_path: Path) -> None:
    report = perform(tmp_path, rabbit_vhost.url, pool=pool, **SIZE)

    keep(f"kill-rabbitmq-{pool}", {**SIZE, **report})
    assert report["problems"] == []


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_the_same_with_results_in_redis(pool: str, rabbit_vhost: Vhost, own_redis: RedisServer, tmp_path: Path) -> None:
    report = perform(tmp_path, rabbit_vhost.url, store=own_redis.url, pool=pool, **SIZE)

    keep(f"kill-rabbitmq-redis-{pool}", {**SIZE, **report})
    assert report["problems"] == []


def test_a_task_that_kills_the_whole_container_runs_four_times_at_most(rabbit_vhost: Vhost, tmp_path: Path) -> None:
    report = perform(tmp_path, rabbit_vhost.url, container_kill=True, tasks=8, killers=1, running_kills=0)

    assert report["problems"] == []
    assert report["supervisor_kills"] >= 3


def test_unstarted_work_of_a_stopped_child_starts_elsewhere_within_15_seconds(
    rabbit_vhost: Vhost, tmp_path: Path
) -> None:
    report = perform(tmp_path, rabbit_vhost.url, stop_child=True, killers=0, running_kills=0, lease=20.0)

    assert report["problems"] == []
    assert report["executions"] == report["tasks"]
