"""Processes killed amid batches: nothing is lost, each call ends once, and who kills is found. `make chaos DRILL=batch`."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.e2e.field import Field, until
from tests.servers.fixtures import own_redis, rabbit, rabbit_vhost  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.slow,
    pytest.mark.timeout(size(full=700, ci=120)),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]
PLACES = [
    *(("sqlite", pool) for pool in ("prefork", "threads", "asyncio")),
    *(("redis", pool) for pool in ("prefork", "threads", "asyncio")),
    *(("rabbitmq", pool) for pool in ("prefork", "threads", "asyncio")),
]
IN_CI = {("sqlite", "prefork"), ("redis", "threads"), ("rabbitmq", "prefork"), ("redis", "asyncio")}


@pytest.fixture(params=size(PLACES, [place for place in PLACES if place in IN_CI]), ids="-".join)
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Field, str]]:
    server, pool = request.param
    broker, results = f"sqlite:///{tmp_path}/queue.db", ""
    if server != "sqlite":
        broker = request.getfixturevalue("own_redis").url
    if server == "rabbitmq":
        broker, results = request.getfixturevalue("rabbit_vhost").url, broker
    field = Field(tmp_path, broker, results, monkeypatch, "tests.e2e.batch_app")
    yield field, pool
    field.close()


def test_killed_amid_batches_each_call_ends_once(place: tuple[Field, str], request: pytest.FixtureRequest) -> None:
    field, pool = place
    count, most = size(full=5_000, ci=300), size(full=60, ci=5)
    dice, killed = random.Random(SEED), list[int]()

    def strike(what: str, name: str) -> None:
        if (
            what == "began"
            and len(killed) < most
            and dice.random() < size(full=0.3, ci=0.6)
            and int(name) not in killed
        ):
            killed.append(int(name))
            os.kill(int(name), signal.SIGKILL)

    field.ear.on = strike
    tasks: Any = field.tasks
    task = tasks.awork if pool == "asyncio" else tasks.work
    began = time.monotonic()
    follow = [tasks.follow.si(n) for n in range(count)]
    calls = [task.s(n, poison=n == tasks.POISON).set(link=follow[n], link_error=follow[n]) for n in range(count)]
    results = field.app.send_many(calls)
    field.node("-P", pool, "-c", "2")
    wanted = {str(n) for n in range(count)}

    def all_followed() -> bool:
        # Seldom: who counts keeps the ear from hearing, and a word that is not heard in time is lost.
        time.sleep(0.2)
        return wanted <= field.ear.names("followed")

    until(all_followed, size(full=600, ci=90), field.logs)
    seconds = time.monotonic() - began

    states = [result.state for result in results]
    assert states == ["FAILURE" if n % 10 == 7 or n == tasks.POISON else "SUCCESS" for n in range(count)], field.logs()
    assert "WorkerLostError" in repr(results[tasks.POISON].result)
    until(lambda: field.left() == {"ready": 0, "claimed": 0}, 20, field.logs)
    # What follows has a computed id, another for success than for failure: its own process may die and it run again.
    ends = Counter(name.partition(":")[0] for name in field.ear.names("ended"))
    assert {name for name in wanted if ends[name] != 1} == set()
    twice = sum(field.ear.heard["ran", name] - 1 for name in wanted if field.ear.heard["ran", name])
    assert len(killed) == most
    sizes = {int(name): field.ear.heard["sizes", name] for name in field.ear.names("sizes")}
    assert max(sizes) == tasks.SIZE
    figures = {
        "calls": count, "killed": len(killed), "lost": 0, "ended_twice": 0, "ran_again": twice,
        "batches": sum(sizes.values()), "seconds": round(seconds, 1),
    }  # fmt: skip
    keep(f"batch-{request.node.callspec.id}", figures)
