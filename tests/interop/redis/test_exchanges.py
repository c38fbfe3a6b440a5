"""Exchanges on Redis are tables of bindings that both sides write and read: what either binds, the other reaches."""

import asyncio
import json
import time
from typing import Any

import kombu
import pytest
from kombu.transport.virtual.exchange import TopicExchange
from tests.interop.sides.lines import tag
from tests.interop.sides.processes import until
from tests.interop.sides.sites import RedisSite

from leveret.brokers.redis.kombu.exchanges import pattern_of
from leveret.errors import QueueNotFound

SHOP = [
    {"name": "orders", "exchange": "shop", "exchange_type": "topic", "routing_key": "order.#"},
    {"name": "paid", "exchange": "shop", "exchange_type": "topic", "routing_key": "*.paid"},
    {"name": "keyed", "exchange": "desk", "routing_key": "a.key"},
    {"name": "plain"},
]
LISTED = {"INTEROP_QUEUES": json.dumps(SHOP)}
ONE = ["-P", "solo", "-c", "1"]


def tables(site: RedisSite) -> dict[str, Any]:
    """Every binding but those of events and of remote control."""
    with site.store() as store:
        names = sorted(name.decode() for name in store.keys("_kombu.binding*"))
        return {name: store.smembers(name) for name in names if "pidbox" not in name and not name.endswith("deadlines")}


@pytest.fixture
def bound_by(site: RedisSite, request: pytest.FixtureRequest) -> str:
    """The side whose worker has bound its queues."""
    side: str = request.param
    site.start(side, side, ONE, **LISTED)
    site.until_run_by(side, "plain")
    return side


@pytest.mark.parametrize("profile", ["celery", "leveret"])
def test_our_bindings_are_celerys_to_the_letter(profile: str, site: RedisSite) -> None:
    site.start("celery", "celery", ONE, **LISTED)
    site.until_log("celery", "ready.")
    theirs = tables(site)
    with site.store() as store:
        store.delete(*theirs)
    site.workers()[0].stop()

    with site.another_client("leveret", **LISTED, INTEROP_PROFILE=profile) as client:
        for queue in ("orders", "paid", "keyed", "plain"):
            client.send_task("interop.add", (1, 2), queue=queue)

    # Celery binds a queue that names no exchange to the default one; that is its profile's business.
    wanted = theirs if profile == "celery" else {name: at for name, at in theirs.items() if not name.endswith("celery")}
    assert tables(site) == wanted


@pytest.mark.parametrize("bound_by", ["leveret", "celery"], indirect=True)
@pytest.mark.parametrize("sender", ["celery", "leveret"])
def test_who_sends_to_an_exchange_reaches_the_queues_that_the_other_side_bound(
    sender: str, bound_by: str, site: RedisSite
) -> None:
    with site.another_client(sender) as client, site.channel() as channel:
        options: dict[str, Any] = {}
        if sender == "celery":
            kombu.Exchange("shop", "topic")(channel).declare()  # so that it knows the kind
            options = {"producer": client.amqp.Producer(channel)}

        topic = client.send_task("interop.add", (2, 3), exchange="shop", routing_key="order.new", **options)
        direct = client.send_task("interop.add", (3, 4), exchange="desk", routing_key="a.key", **options)
        client.send_task(
            "interop.note", ("x",), {"tag": (mark := tag())}, exchange="shop", routing_key="order.paid", **options
        )

        assert (topic.get(timeout=20), direct.get(timeout=20)) == (5, 7)
        assert {note["side"] for note in site.notes.wait(2, tag=mark)} == {bound_by}


@pytest.mark.parametrize("bound_by", ["celery"], indirect=True)
def test_on_a_loop_too(bound_by: str, site: RedisSite) -> None:
    async def call() -> Any:
        task = client.signature("interop.add", (2, 3), exchange="shop", routing_key="order.new")
        return await (await task.aapply_async())

    with site.another_client("leveret") as client:
        assert asyncio.run(call()) == 5


@pytest.mark.parametrize("bound_by", ["celery"], indirect=True)
def test_what_would_reach_nobody_is_refused_where_it_is_sent(bound_by: str, site: RedisSite) -> None:
    with site.another_client("leveret") as client:
        with pytest.raises(QueueNotFound, match=r"no queue is bound to exchange 'nowhere' \(_kombu.binding.nowhere is"):
            client.send_task("interop.add", (1, 2), exchange="nowhere", routing_key="x")
        with pytest.raises(QueueNotFound, match="no queue is bound to exchange 'desk' for routing key 'another.key'"):
            client.send_task("interop.add", (1, 2), exchange="desk", routing_key="another.key")
        task = client.signature("interop.add", (1, 2), exchange="nowhere", routing_key="x")
        began = time.monotonic()
        with pytest.raises(QueueNotFound, match="no queue is bound to exchange 'nowhere'"):
            asyncio.run(task.aapply_async())
        assert time.monotonic() - began < 2


def test_a_fanout_exchange_has_to_be_listed(site: RedisSite) -> None:
    site.start("celery", "celery", ONE, INTEROP_QUEUES='[{"broadcast": "reload"}, {"name": "celery"}]')
    site.until_run_by("celery", "celery")

    with site.another_client("leveret") as client, pytest.raises(QueueNotFound, match=r"Broadcast\('reload'\)"):
        client.send_task("interop.note", exchange="reload")


@pytest.mark.parametrize("key", ["a", "a.b", "#", "*", "a.*.c", "a.#", "#.z", "a-b_c.d e", "wört.*", "a+b.(c)", ""])
def test_patterns_are_kombus(key: str) -> None:
    assert pattern_of(key) == TopicExchange(None).key_to_pattern(key)


def test_a_broadcast_is_run_once_by_each_node_however_many_processes_it_has(site: RedisSite) -> None:
    everybody = {"INTEROP_QUEUES": '[{"broadcast": "reload"}, {"name": "celery"}]'}
    for name in ("one", "two"):
        site.start("leveret", name, ["-P", "prefork", "-c", "3"], **everybody)
    with site.store() as store, site.another_client("leveret", **everybody) as client:
        until(lambda: dict(store.pubsub_numsub("/0.reload/celery")).get(b"/0.reload/celery") == 6, 30)

        client.send_task("interop.note", ("now",), {"tag": "all"}, queue="reload")
        client.send_task("interop.note", ("later",), {"tag": "all"}, queue="reload", countdown=0.5)

        site.notes.wait(4, tag="all")
        # Behind them, on the same nodes' own queues: a second copy would have come first.
        client.send_task("interop.note", (), {"tag": "behind"}, queue="reload")
        site.notes.wait(2, tag="behind")
    assert sorted(note["args"][0] for note in site.notes.all(tag="all")) == ["later", "later", "now", "now"]
