"""Each check finds what it is for, and a healthy household is silent."""

from typing import Any

import pytest
from msgspec.structs import replace

from leveret.logic.insight.checkup import check_up
from leveret.model.delivery import QueueCounts
from leveret.model.insight.finding import ERROR, NOTE, WARNING, Household, Scheduled
from leveret.model.limiting.gate import BoundState
from leveret.model.node import Node

NOW = 1_800_000_000.0
NODE = Node(name="w1@x", incarnation="i", boot="b", pid=1, queues=("q",), tasks=("t",), started=NOW - 9, version="1")
HEALTHY = Household(
    now=NOW,
    address="sqlite",
    nodes=(NODE,),
    counts=(QueueCounts(queue="q", ready=5, oldest=NOW - 1),),
    routed=("q",),
    waiting=(("q", "t"), ("elsewhere", "u")),
    schedule=(Scheduled(name="e", due=NOW + 5, paused=False), Scheduled(name="p", due=NOW - 500, paused=True)),
    limited=("t",),
    lines=(BoundState(bound="rate", key="k", waiting=100),),
    open_files=65_536,
)
OTHER = replace(NODE, name="w2@x", incarnation="j")


def test_a_healthy_household_is_silent() -> None:
    assert check_up(HEALTHY) == ()


@pytest.mark.parametrize(
    ("changes", "check", "severity"),
    [
        ({"nodes": ()}, "no-node", ERROR),
        ({"nodes": (), "counts": ()}, "no-node", WARNING),
        ({"counts": (QueueCounts(queue="z", ready=1),)}, "queue-without-consumer", ERROR),
        ({"routed": ("q", "z")}, "routed-queue-without-consumer", WARNING),
        ({"waiting": (("q", "u"),)}, "unknown-task", ERROR),
        ({"nodes": (NODE, replace(OTHER, tasks=("u",)))}, "two-apps", WARNING),
        ({"nodes": (NODE, replace(OTHER, tasks=("t", "u")))}, "nodes-differ", WARNING),
        ({"nodes": (NODE, replace(OTHER, version="2"))}, "versions-differ", WARNING),
        ({"silent": ("w1@x",)}, "node-silent", WARNING),
        ({"nodes": (replace(NODE, started=NOW + 60),)}, "clock-skew", WARNING),
        ({"counts": (QueueCounts(queue="q", dead=3),)}, "dead-letters", NOTE),
        ({"dead_lately": 10}, "dead-letters", WARNING),
        ({"schedule": (Scheduled(name="e", due=NOW - 61, paused=False),)}, "schedule-without-scheduler", ERROR),
        ({"results_expire": False}, "results-never-expire", WARNING),
        ({"keeps_limits": False}, "limits-without-store", ERROR),
        ({"lines": (BoundState(bound="rate", key="k", waiting=10_000),)}, "long-line", WARNING),
        ({"remarks": ("broker_pool_limit is not needed: we pool",)}, "setting", NOTE),
        ({"open_files": 256}, "open-files", WARNING),
    ],
)
def test_what_is_wrong_is_found_and_nothing_else(changes: dict[str, Any], check: str, severity: str) -> None:
    found = check_up(replace(HEALTHY, **changes))

    assert [(one.check, one.severity) for one in found] == [(check, severity)]
    assert found[0].change and found[0].where and not found[0].text.endswith(".")


def test_consumers_that_only_the_broker_knows_count() -> None:
    counts = (QueueCounts(queue="z", ready=1, consumers=2),)

    assert check_up(replace(HEALTHY, nodes=(), nodes_known=False, counts=counts, routed=("z",))) == ()
