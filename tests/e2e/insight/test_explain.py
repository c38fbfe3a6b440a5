"""`explain` names the true reason in each staged situation, on every kind of set-up; nothing is staged but what a user
could do, save the node that only seems to be there."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.harness import ROOT
from tests.e2e.insight.staging import LIMITED, SEEMING, SITUATIONS, Situation, Stage, _session
from tests.servers.fixtures import rabbit, shared_redis  # noqa: F401 - fixtures

from leveret.wiring.drivers import Drivers

ALL = {**SITUATIONS, **LIMITED}
LATE = ("in a row", "unknown task")
"""Staged last: their queue is consumed by a node that never takes anything."""


@pytest.fixture(scope="module", params=["sqlite", "redis", "rabbitmq"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp(request.param), *places(request, tmp_path_factory))
    made.kind = request.param  # type: ignore[attr-defined] # which situations there are
    try:
        made.drivers(pretend)
        for name, situation in ALL.items():
            if applies(made, name, situation):
                made.results[name] = situation.stage(made)
        yield made
    finally:
        made.close()


def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    if request.param == "sqlite":
        return (f"sqlite:///{tmp_path_factory.mktemp('file')}/queue.db",)
    server = request.getfixturevalue("shared_redis")
    server.call("FLUSHALL")
    if request.param == "redis":
        return (server.url,)
    return request.getfixturevalue("rabbit").vhost().url, server.url


async def pretend(drivers: Drivers) -> None:
    """A node that consumes queues, and never takes anything."""
    leases: Any = drivers.broker.leases()
    # On RabbitMQ a session is a connection: there only the ledger is told.
    leases = getattr(leases, "ledger", None) or leases
    await leases.register(SEEMING, (_session("holder"),))


def applies(stage: Stage, name: str, situation: Situation) -> bool:
    if name in LIMITED:
        return stage.kind != "rabbitmq" and stage.drivers(has_gate)  # type: ignore[attr-defined]
    return situation.everywhere or stage.kind != "rabbitmq"  # type: ignore[attr-defined]


async def has_gate(drivers: Drivers) -> bool:
    return drivers.gate() is not None


@pytest.mark.parametrize("name", ALL)
def test_it_names_the_true_reason(stage: Stage, name: str) -> None:
    if name not in stage.results:
        pytest.skip("not on this set-up")
    situation = ALL[name]

    found = stage.until(name, situation.code)

    assert found.why.code == situation.code, f"{found}\n{stage.log()}"
    assert re.search(situation.says, str(found.why)), found.why


def test_the_command_line_says_the_same(stage: Stage) -> None:
    if stage.kind != "sqlite":  # type: ignore[attr-defined]
        pytest.skip("one set-up is enough")
    wanted = [name for name in ("delayed", "failed", "never sent", "retry") if name in stage.results]
    ids = [stage.results[name].id for name in wanted]
    codes = [stage.until(name, ALL[name].code).why.code for name in wanted]

    def call(*words: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "leveret.cli", "explain", "-A", "tests.e2e.insight.explain_app", *words],
            capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
        )  # fmt: skip

    told = call(*ids, "--json")
    assert [one["code"] for one in json.loads(told.stdout)] == codes, told.stderr
    assert told.returncode == 1, "of one nothing is known"
    assert call(ids[0]).returncode == 0


def test_the_async_twin_says_the_same(stage: Stage) -> None:
    result = stage.results["failed"]
    stage.until("failed", "failed")

    async def main() -> Any:
        return await result.aexplain()

    assert asyncio.run(main()).why.text == result.explain().why.text


@pytest.mark.parametrize("kind", ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//"])
def test_a_broker_that_is_away_gets_one_line(kind: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "leveret.cli", "-b", kind, "explain", "order-17"],
        capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert len((done.stderr + done.stdout).strip().splitlines()) == 1
