"""One tenant's backlog holds up no other (`fair_by`): `make chaos DRILL=fairness`, in full size 100,000 tasks of one tenant
before 100 of each of nine others, who come when the node is busy with it."""

import asyncio
import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.e2e.drill import keep, size
from tests.e2e.field import Field, until
from tests.e2e.mutants import mutate
from tests.servers.fixtures import own_redis  # noqa: F401 - a fixture

from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]
BIG, EACH = "acme", 100
OTHERS = tuple(f"tenant-{number}" for number in range(9))
ROUNDS = EACH * (len(OTHERS) + 1)
"""Tasks that have run when, with equal shares, the nine are done."""
MOST = 1.5
SECONDS = size(full=0.001, ci=0.004)
"""Of a run: in CI longer than what a busy neighbour takes away."""
KEPT: dict[str, object] = {}


class Run(NamedTuple):
    at: float
    tenant: str
    number: int


@pytest.fixture(params=["sqlite", "redis"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        url: str = request.getfixturevalue("own_redis").url
        return url
    return f"sqlite:///{tmp_path}/queue.db"


@pytest.fixture
def field(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Field]:
    told = {"FAIR_RUNS": str(tmp_path / "runs"), "FAIR_SECONDS": str(SECONDS)}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    made = Field(tmp_path, broker, "", monkeypatch, "tests.e2e.fair_app")
    made.places |= told
    yield made
    made.close()


def test_a_tenant_of_few_tasks_finishes_as_with_equal_shares(field: Field, broker: str, tmp_path: Path) -> None:
    backlog = size(full=100_000, ci=10_000)
    total = backlog + EACH * len(OTHERS)

    sent = meet(field, tmp_path, backlog)
    # In full size all of it is run; in CI what is left when all have had twice their share is counted.
    until(lambda: count(tmp_path) >= size(full=total, ci=300 + 2 * ROUNDS), 300, field.logs)
    field.stop()

    runs = read(tmp_path)
    assert len({(run.tenant, run.number) for run in runs}) == len(runs)
    assert len(runs) + asyncio.run(purge(field)) == total
    share, places = judge(runs, sent)
    KEPT[broker.partition(":")[0]] = {
        "backlog": backlog,
        "tasks_a_second": round(len(runs) / (runs[-1].at - runs[0].at)),
        "seconds_with_equal_shares": round(share, 3),
        "slowest_tenant_of_that": round(max(places.values()) / share, 2),
    }
    keep("fairness", KEPT)
    assert max(places.values()) <= MOST * share, places


@pytest.mark.parametrize("broker", ["sqlite"], indirect=True)
def test_the_drill_sees_that_nobody_tells_whose_turn_it_is(
    field: Field, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate("laneless", monkeypatch.setattr)

    sent = meet(field, tmp_path, 3_000)
    until(lambda: count(tmp_path) >= 300 + 2 * ROUNDS, 60, field.logs)

    share, places = judge(read(tmp_path), sent)
    assert max(places.values()) > MOST * share


def meet(field: Field, folder: Path, backlog: int) -> float:
    """Let a node begin with one tenant's backlog before the others come; answers when they came."""
    send(field, [(BIG, number) for number in range(backlog)])
    field.node("-P", "prefork", "-c", "4")
    until(lambda: count(folder) >= 300, 60, field.logs)
    came = time.time()
    send(field, [(tenant, number) for tenant in OTHERS for number in range(EACH)])
    return came


async def purge(field: Field) -> int:
    """Forget what is left; answers how many."""
    broker = open_drivers(field.app.conf.settings, SystemClock()).broker
    gone = await broker.admin().purge(("default",))
    await broker.broker().close()
    return gone


def send(field: Field, calls: list[tuple[str, int]]) -> None:
    for start in range(0, len(calls), 1000):
        field.app.send_many([field.tasks.bill.s(*call) for call in calls[start : start + 1000]])


def judge(runs: list[Run], came: float) -> tuple[float, dict[str, float]]:
    """Seconds after they came: by which the nine would be done with equal shares, and by which each was."""
    later = [run for run in runs if run.at >= came]
    share = later[ROUNDS - 1].at - came
    ends = {tenant: [run.at for run in runs if run.tenant == tenant] for tenant in OTHERS}
    return share, {tenant: max(at) - came if len(at) == EACH else math.inf for tenant, at in ends.items()}


def count(folder: Path) -> int:
    path = folder / "runs"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def read(folder: Path) -> list[Run]:
    """In the order of their ends."""
    lines = (line.split() for line in (folder / "runs").read_text().splitlines())
    return sorted(Run(float(at), tenant, int(number)) for at, tenant, number in lines)
