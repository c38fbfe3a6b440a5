"""Each drill fails when the one thing it watches is broken: `make chaos DRILL=redis-mutants` (in CI size).

In CI only those run that take no longer than the drill itself.
"""

import os
from pathlib import Path

import pytest
from tests.e2e.redis import (
    test_cuts,
    test_failover,
    test_frozen,
    test_full,
    test_host_lost,
    test_restarts,
    test_stopped,
    test_story,
)
from tests.e2e.redis.test_cuts import Step
from tests.servers.redis import RedisServer
from tests.servers.sentinel import SentinelFleet

ALL = os.environ.get("LEVERET_CHAOS") == "mutants"
slow = pytest.mark.skipif(not ALL, reason="takes a minute: make chaos DRILL=redis-mutants")
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


def test_a_store_without_a_fence_takes_what_a_stopped_node_settles(own_redis: RedisServer, tmp_path: Path) -> None:
    report = test_stopped.drill(own_redis, tmp_path, 2, mutant="redis-unfenced")

    assert report["terminal_twice"] > 0


@slow
def test_a_lease_that_runs_out_while_redis_is_away_runs_everything_twice(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    report = test_frozen.drill(own_redis, tmp_path, test_frozen.restart, mutant="redis-hasty", patience=1.0)

    assert report["executions"] > report["tasks"]


def test_a_settlement_that_takes_memory_first_waits_for_room(own_redis: RedisServer, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="not all is settled"):
        test_full.drill(own_redis, tmp_path, 1, mutant="redis-greedy", patience=6.0)


def test_a_worker_that_gives_redis_up_stands_still(own_redis: RedisServer, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="it stands still"):
        test_story.drill(own_redis, tmp_path, 4, 500, mutant="redis-stuck", patience=15.0)


@slow
def test_a_lost_host_that_nobody_ends_keeps_its_work(own_redis: RedisServer, tmp_path: Path) -> None:
    report = test_host_lost.drill(own_redis, tmp_path, 2, mutant="redis-patient")

    assert report["lost"] > 0


@slow
def test_a_fleet_that_reconnects_slowly_is_late(own_redis: RedisServer, tmp_path: Path) -> None:
    report = test_restarts.drill(own_redis, tmp_path, 2, mutant="sluggish")

    assert report["late"] > 0


@slow
def test_a_redis_that_writes_nothing_down_loses_what_was_confirmed(tmp_path: Path) -> None:
    with RedisServer() as server:
        report = test_restarts.drill(server, tmp_path, 1, patience=3.0)

    assert report["lost_unexplained"] > 0


@slow
def test_a_send_without_a_name_is_there_twice(own_redis: RedisServer, tmp_path: Path) -> None:
    steps = (Step("publish", client=True),)
    plan = test_cuts.Plan(steps=steps, cuts=18, holes=False, mutant="redis-nameless")

    report = test_cuts.drill(own_redis, tmp_path, plan)

    assert report["again"] > 0


@slow
def test_claims_that_nobody_remembers_are_lost(own_redis: RedisServer, tmp_path: Path) -> None:
    plan = test_cuts.Plan(steps=(Step("claim"),), cuts=24, holes=False, mutant="redis-amnesiac", patience=2.0)

    report = test_cuts.drill(own_redis, tmp_path, plan)

    assert report["lost"] > 0


@slow
def test_who_asks_the_sentinels_once_does_not_survive_a_master(own_sentinels: SentinelFleet, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="consume again"):
        test_failover.drill(
            own_sentinels, tmp_path, test_failover.Plan(failovers=1, mutant="redis-loyal", patience=15.0)
        )
