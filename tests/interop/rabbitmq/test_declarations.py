"""What is declared: on an empty vhost, in either order of starting, neither side is ever refused (406)."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from tests.interop.sides.lines import tag
from tests.interop.sides.sites import RabbitSite
from tests.servers.rabbit.remote import binary

REFUSALS = ("(406)", "PRECONDITION_FAILED", "precondition_failed")

CLUSTERS: dict[str, dict[str, Any]] = {
    "as it comes": {"queue": "celery"},
    "queues by name": {"queue": "images", "options": ["-Q", "images,celery"]},
    "priorities": {"queue": "celery", "settings": {"task_queue_max_priority": 9}},
    "quorum": {"queue": "celery", "settings": {"task_default_queue_type": "quorum"}},
    "listed": {
        "queue": "bounded",
        "queues": [
            {"name": "bounded", "max_priority": 5, "max_length": 1000, "message_ttl": 3600, "expires": 3600},
            {"name": "lazy", "queue_arguments": {"x-queue-mode": "lazy"}},
            {"name": "keyed", "routing_key": "a.key"},
            {"name": "fleeting", "durable": False},
        ],
    },
    "default exchange": {
        "queue": "work",
        "settings": {
            "task_default_queue": "work",
            "task_default_exchange": "jobs",
            "task_default_exchange_type": "topic",
            "task_default_routing_key": "job.any",
        },
    },
    "direct": {"queue": "celery", "settings": {"worker_direct": True}},
}
ORDERS = [("celery", "leveret"), ("leveret", "celery")]


def environment(cluster: dict[str, Any]) -> dict[str, str]:
    found = {"INTEROP_SETTINGS": json.dumps(cluster.get("settings", {}))}
    if "queues" in cluster:
        found["INTEROP_QUEUES"] = json.dumps(cluster["queues"])
    return found


def send(site: RabbitSite, side: str, cluster: dict[str, Any], mark: str, **options: Any) -> None:
    """As a program with the cluster's own settings sends."""
    with site.another_client(side, **environment(cluster)) as client:
        client.send_task("interop.note", kwargs={"tag": mark}, queue=cluster["queue"], ignore_result=True, **options)


def refused(site: RabbitSite) -> list[str]:
    """What any log says of a refusal: the workers' and the broker's."""
    told = [line for worker in site.workers() for line in worker.log.splitlines()]
    broker = Path(site.rabbit.address.folder, "server.log").read_text(errors="replace")
    told += [line for line in broker.splitlines() if site.vhost.name in line]
    return [line for line in told if any(word in line for word in REFUSALS)]


@pytest.mark.parametrize("order", ORDERS, ids="-then-".join)
@pytest.mark.parametrize("name", CLUSTERS)
def test_neither_side_is_refused_in_either_order(name: str, order: tuple[str, str], site: RabbitSite) -> None:
    cluster = CLUSTERS[name]
    for side in order:
        site.start(side, side, ["-P", "solo", *cluster.get("options", [])], **environment(cluster))
        send(site, side, cluster, mark := tag())
        site.notes.wait(tag=mark, timeout=60)
    for side in order:
        send(site, side, cluster, mark := tag())
        site.notes.wait(tag=mark, timeout=60)

    assert refused(site) == []
    assert all(worker.process.poll() is None for worker in site.workers())


DECLARED = """
Of = fun(R) -> element(4, R) end,
V = {vhost}, Names = [{names}],
Queues = [{{Of(amqqueue:get_name(Q)), amqqueue:is_durable(Q), amqqueue:is_auto_delete(Q),
            lists:sort(amqqueue:get_arguments(Q))}} || Q <- rabbit_amqqueue:list(V)],
Bindings = [{{Of(element(2, B)), element(3, B), Of(element(4, B)), element(5, B)}} || B <- rabbit_binding:list(V)],
Ours = [{{S, K, D, A}} || {{S, K, D, A}} <- Bindings, lists:member(D, Names)],
Sources = [S || {{S, _, _, _}} <- Ours],
Exchanges = [{{Of(element(2, X)), element(3, X), element(4, X), element(5, X), element(7, X)}}
             || X <- rabbit_exchange:list(V), lists:member(Of(element(2, X)), Sources)],
{{lists:sort([Q || Q = {{N, _, _, _}} <- Queues, lists:member(N, Names)]), lists:sort(Exchanges), lists:sort(Ours)}}.
"""


def declared(site: RabbitSite, names: list[str]) -> str:
    """Those queues with their arguments, the exchanges they are bound to, and how."""
    listed = ", ".join(map(binary, names))
    found = site.rabbit.evaluate(DECLARED.format(vhost=binary(site.vhost.name), names=listed))
    # RabbitMQ compares numbers by value, however wide they were written.
    return re.sub(r"\b(unsignedbyte|byte|short|signedint|long)\b", "number", found)


@pytest.mark.parametrize("name", [name for name in CLUSTERS if name != "queues by name"])
def test_what_celery_would_declare_is_declared_to_the_letter(
    name: str, site: RabbitSite, other_site: RabbitSite
) -> None:
    cluster = CLUSTERS[name]
    direct = ["same@interop.dq2"] if name == "direct" else []
    names = [queue["name"] for queue in cluster.get("queues", [])] or [cluster["queue"], *direct]
    for side, place in (("celery", site), ("leveret", other_site)):
        place.start(side, "same", ["-P", "solo"], **environment(cluster))
        send(place, side, cluster, mark := tag())
        place.notes.wait(tag=mark, timeout=60)

    theirs = declared(site, names)
    assert all(queue in theirs for queue in names)
    assert declared(other_site, names) == theirs


@pytest.mark.parametrize("name", ["as it comes", "quorum"])
def test_our_own_profile_joins_a_cluster_that_is_there(name: str, site: RabbitSite) -> None:
    """Under `profile="leveret"` our queues are another kind; one that is there is taken as it is."""
    cluster = CLUSTERS[name]
    ours = {**environment(cluster), "INTEROP_PROFILE": "leveret"}
    before = site.start("celery", "celery", ["-P", "solo"], **environment(cluster))
    send(site, "celery", cluster, mark := tag())
    site.notes.wait(tag=mark, timeout=60)

    site.start("leveret", "leveret", ["-P", "solo", "-Q", "celery"], **ours)
    site.until_run_by("leveret", "celery")
    with site.another_client("leveret", **ours) as client:
        client.send_task("interop.note", kwargs={"tag": (mark := tag())}, queue="celery")
    site.notes.wait(tag=mark, timeout=60)
    before.stop()
    site.start("celery", "later", ["-P", "solo"], **environment(cluster))
    site.until_run_by("celery", "celery")

    assert refused(site) == []


@pytest.mark.parametrize("order", ORDERS, ids="-then-".join)
def test_celerys_own_ladder_for_quorum_queues_leads_to_both(order: tuple[str, str], site: RabbitSite) -> None:
    """With quorum queues Celery's client sends delayed tasks by way of kombu's delay queues (topic exchanges only)."""
    settings = {
        "task_default_queue_type": "quorum",
        "task_default_exchange_type": "topic",
        "task_default_queue": "late",
    }
    cluster = {"queue": "late", "settings": settings}
    for side in order:
        site.start(side, side, ["-P", "solo"], **environment(cluster))
        send(site, side, cluster, mark := tag())
        site.notes.wait(tag=mark, timeout=60)
    site.until_log("celery", "ready.")

    began = time.time()
    with site.another_client("celery", **environment(cluster)) as client:
        for number in range(20):
            client.send_task("interop.note", (number,), {"tag": "late"}, queue="late", countdown=2, ignore_result=True)
    notes = site.notes.wait(20, tag="late", timeout=60)

    assert sorted(note["args"][0] for note in notes) == [*range(20)]
    assert min(note["at"] for note in notes) >= began + 2
    assert refused(site) == []
