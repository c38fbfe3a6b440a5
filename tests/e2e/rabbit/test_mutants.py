"""Each drill fails when the one thing it watches is broken: `make chaos DRILL=rabbit-mutants` (in CI size).

In CI only those run that take no longer than the drill itself.
"""

import os
from pathlib import Path

import pytest
from tests.e2e.kill_drill import perform
from tests.e2e.mutants import mutate
from tests.e2e.rabbit import (
    test_alarms,
    test_cluster,
    test_cuts,
    test_give_backs,
    test_host_lost,
    test_queue_deleted,
    test_replies,
    test_restarts,
)
from tests.servers.availability import rabbitmq_home, require
from tests.servers.cluster import RabbitCluster
from tests.servers.rabbit.remote import Rabbit, Vhost
from tests.servers.rabbitmq import RabbitServer

ALL = os.environ.get("LEVERET_CHAOS") == "mutants"
slow = pytest.mark.skipif(not ALL, reason="takes a minute: make chaos DRILL=rabbit-mutants")
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]


def test_give_backs_that_nobody_counts_kill_a_message(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate("plain", monkeypatch.setattr)

    report = test_give_backs.drill(rabbit, patience=5.0)

    assert report["dead"] == {"quorum, limit 5": 1, "quorum, limit 100": 0, "classic": 0}


def test_a_reply_queue_that_goes_with_its_connection_loses_results(
    rabbit: Rabbit, rabbit_vhost: Vhost, tmp_path: Path
) -> None:
    report = test_replies.drill(rabbit, rabbit_vhost, tmp_path, 3, mutant="forgetful", patience=3.0)

    assert report["lost"] > 0


@slow
def test_a_fleet_that_reconnects_slowly_is_late(own_rabbit: RabbitServer, tmp_path: Path) -> None:
    report = test_restarts.drill(own_rabbit, tmp_path, 2, mutant="sluggish")

    assert report["late"] > 0


@slow
def test_sends_that_wait_for_no_confirm_are_lost(rabbit: Rabbit, rabbit_vhost: Vhost, tmp_path: Path) -> None:
    plan = test_cuts.Plan(store=False, cuts=30, holes=False, mutant="unconfirmed", patience=2.0)

    report = test_cuts.drill(rabbit, rabbit_vhost, tmp_path, plan)

    assert report["lost"] > 0


@slow
def test_a_store_without_a_fence_takes_two_outcomes(rabbit: Rabbit, rabbit_vhost: Vhost, tmp_path: Path) -> None:
    plan = test_cuts.Plan(store=True, cuts=40, holes=False, mutant="unfenced")

    report = test_cuts.drill(rabbit, rabbit_vhost, tmp_path, plan)

    assert report["committed_twice"] > 0


@slow
def test_acknowledgements_behind_results_stop_under_an_alarm(own_rabbit: RabbitServer, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="messages are there"):
        test_alarms.drill(own_rabbit, tmp_path, 1, mutant="behind")


@slow
def test_consumers_that_hear_nothing_never_come_back(rabbit: Rabbit, rabbit_vhost: Vhost, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="not all consume again"):
        test_queue_deleted.drill(rabbit, rabbit_vhost, tmp_path, 1, mutant="deaf")


@slow
def test_a_host_without_heartbeats_is_never_missed(rabbit: Rabbit, rabbit_vhost: Vhost, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="began elsewhere"):
        test_host_lost.drill(rabbit, rabbit_vhost, tmp_path, 1, mutant="mute")


@slow
def test_who_asks_one_broker_only_does_not_survive_it(tmp_path: Path) -> None:
    require(rabbitmq_home)
    with RabbitCluster() as cluster, pytest.raises(AssertionError, match="consume again"):
        test_cluster.drill(cluster, tmp_path, 3, mutant="faithful", patience=20.0)


@slow
def test_a_killer_that_nobody_charges_runs_for_ever(rabbit_vhost: Vhost, tmp_path: Path) -> None:
    report = perform(tmp_path, rabbit_vhost.url, mutant="uncharged", tasks=60, killers=1, supervisor_kills=0)

    assert any("killers ran" in problem for problem in report["problems"]), report
