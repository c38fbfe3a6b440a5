"""`leveret migrate celery --recover`: what a killed Celery worker held runs here, each message once."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.interop.sides.processes import until
from tests.interop.sides.sites import RedisSite

HELD = 6
LATE = {"INTEROP_SETTINGS": json.dumps({"task_acks_late": True})}
TOPIC = [{"name": "orders", "exchange": "shop", "exchange_type": "topic", "routing_key": "order.#"}, {"name": "work"}]
RECOVER = ("migrate", "celery", "--recover")


@pytest.fixture
def left(site: RedisSite, tmp_path: Path) -> Iterator[list[Any]]:
    """Results of tasks that a Celery worker held when it was killed; they end when the gate is there."""
    listed = {**LATE, "INTEROP_QUEUES": json.dumps(TOPIC)}
    worker = site.start("celery", "celery", ["-P", "prefork", "-c", "2", "-Q", "work,orders"], **listed)
    gate = str(tmp_path / "gate")
    with site.another_client("celery", **listed) as client:
        results = [
            client.send_task("interop.progress", (gate,), queue="work", priority=number) for number in range(HELD)
        ]
        results.append(client.send_task("interop.progress", (gate,), queue="orders", routing_key="order.new"))
        with site.store() as store:
            until(lambda: store.hlen("unacked") == HELD + 1, 30)
        worker.kill()
        yield results
        results.clear()  # Celery's take leave of their channels, for which Redis has to be there


def waiting(site: RedisSite) -> int:
    with site.store() as store:
        return sum(store.llen(name) for name in store.keys("work*") + store.keys("orders*"))


def test_what_a_killed_celery_worker_held_runs_here_once(left: list[Any], site: RedisSite, tmp_path: Path) -> None:
    assert "nothing was left behind" in site.operate(*RECOVER)  # too young: an hour, as Celery has it
    shown = json.loads(site.operate(*RECOVER, "--older-than", "0", "--json"))
    assert sorted(one["id"] for one in shown["found"]) == sorted(result.id for result in left)
    assert {queue for one in shown["found"] for queue in one["queues"]} == {"work", "orders"}
    assert (shown["recovered"], waiting(site)) == (0, 0)
    assert f"{HELD + 1} left behind" not in site.operate(*RECOVER, "--older-than", "0", "--yes")
    assert "nothing was left behind" in site.operate(*RECOVER, "--older-than", "0", "--yes")
    with site.store() as store:
        assert (store.hlen("unacked"), store.zcard("unacked_index"), waiting(site)) == (0, 0, HELD + 1)
        # In the lists that Celery has them in, as it would restore them itself.
        assert store.llen("work\x06\x163") == 3 and store.llen("work") == 3
        raws = [json.loads(raw) for raw in store.lrange("work", 0, -1)]
        assert all(raw["properties"]["delivery_info"]["redelivered"] for raw in raws)

    (tmp_path / "gate").touch()
    site.start("leveret", "leveret", ["-P", "prefork", "-c", "2", "-Q", "work,orders"])

    assert [result.get(timeout=30) for result in left] == ["finished"] * (HELD + 1)


def test_two_who_recover_at_once_put_each_back_once(left: list[Any], site: RedisSite) -> None:
    import asyncio

    from leveret.wiring.clock import SystemClock
    from leveret.wiring.drivers import open_drivers

    async def recover() -> list[int]:
        drivers = open_drivers(site.client("leveret").conf.settings, SystemClock())
        recovery = drivers.broker.recovery()  # type: ignore[attr-defined]
        found = await recovery.look(0)
        both = await asyncio.gather(recovery.take_over(found), recovery.take_over(found))
        await drivers.broker.broker().close()
        return both

    assert sum(asyncio.run(recover())) == HELD + 1
    assert waiting(site) == HELD + 1


def test_elsewhere_there_is_nothing_to_recover(site: RedisSite, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="only on Redis does Celery leave behind"):
        site.operate(*RECOVER, "-b", f"sqlite:///{tmp_path}/queue.db")
