"""redis-cuts: the connection breaks, or everything on it vanishes, at every step of a task's way: send, claim, settle,
lying down to be called, renewing the lease, waiting for the result; each time the request is lost, or only its reply.

Nothing is lost, nothing runs twice, and Redis itself hears no second outcome of any task.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.e2e.redis.field import Notary, RedisFleet
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer
from tests.servers.wire.rules import Action, Direction

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(7200, 300))]

CUTS = size(520, 52)
"""Resets and orderly ends; each step's black holes come on top."""
PUBLISH_TIMEOUT = size(10.0, 2.0)
HOLE_SECONDS = size(8.0, 1.5)
"""Longer than anybody waits for an answer: what went into the hole comes out of it when it was asked for again."""
PATIENCE = size(60.0, 30.0)
LEASE = size(20.0, 6.0)
"""Renewed four times in that time: where the cuts of that step wait for it."""
WAYS = (
    (Direction.TO_SERVER, Action.CUT_BEFORE),
    (Direction.TO_SERVER, Action.CUT_AFTER),
    (Direction.TO_SERVER, Action.DROP_AND_CUT),
    (Direction.TO_CLIENT, Action.CUT_BEFORE),
    (Direction.TO_CLIENT, Action.CUT_AFTER),
    (Direction.TO_CLIENT, Action.DROP_AND_CUT),
)


@dataclass(frozen=True)
class Step:
    """Where on a task's way: on whose connection, at which script or command."""

    name: str
    client: bool = False


STEPS = (
    Step("publish", client=True),
    Step("mget", client=True),
    Step("claim"),
    Step("commit"),
    Step("rest"),
    Step("upkeep"),
    Step("beat"),
)


class Cutter:
    """Breaks one connection after the other, each at its step, and waits until work goes on."""

    def __init__(self, fleet: RedisFleet, clients: Proxy, workers: Proxy) -> None:
        self.fleet, self.clients, self.workers = fleet, clients, workers
        self.dice = random.Random(SEED)
        self.fired: dict[str, int] = {}
        self.busy = 0
        self.slowest = 0.0

    def cut(self, step: Step, direction: Direction, action: Action) -> None:
        proxy = self.clients if step.client else self.workers
        # The lease is renewed rarely enough.
        nth = 1 if step.name in ("beat", "upkeep") else self.dice.randrange(1, 4)
        rule = proxy.on(direction, step.name, action, nth)
        self.fleet.until(lambda: rule.fired, 60.0, lambda: f"{step.name} does not happen")
        self.busy += bool(self.fleet.open())
        name = f"{step.name}: {direction.name} {action.name}"
        self.fired[name] = self.fired.get(name, 0) + 1
        if action is Action.BLACKHOLE:
            time.sleep(HOLE_SECONDS)
            proxy.blackhole(False)
        self._goes_on()

    def _goes_on(self) -> None:
        """Somebody sends and somebody works again."""
        began = time.time()
        history = self.fleet.history

        def goes_on() -> bool:
            fresh = {line.what for line in history.lines[-400:] if line.at > began}
            history.read()
            return {"confirmed", "done"} <= fresh

        self.fleet.until(goes_on, 60.0, lambda: "no work goes on")
        self.slowest = max(self.slowest, time.time() - began)


@dataclass(frozen=True, kw_only=True)
class Plan:
    cuts: int = CUTS
    steps: tuple[Step, ...] = STEPS
    holes: bool = True
    mutant: str = ""
    patience: float = PATIENCE

    def all(self) -> Iterator[tuple[Step, Direction, Action]]:
        """Every step in every way, again and again, in an order by chance; one black hole for each step and direction."""
        chosen = list(islice(cycle((step, *way) for way in WAYS for step in self.steps), self.cuts))
        if self.holes:
            chosen += [(step, direction, Action.BLACKHOLE) for step in self.steps for direction in Direction]
        random.Random(SEED).shuffle(chosen)
        return iter(chosen)


def drill(server: RedisServer, folder: Path, plan: Plan) -> dict[str, Any]:
    with (
        Proxy(server.port, resp=True) as clients,
        Proxy(server.port, resp=True) as workers,
        Notary(server.port) as notary,
        RedisFleet(
            folder, server.url_as(port=workers.port), direct=server.url, lease=LEASE, publish_timeout=PUBLISH_TIMEOUT
        ) as fleet,
    ):
        for number in range(2):
            fleet.worker(f"w{number}", "-c", "1", mutant=plan.mutant)
        # So little that everybody idles now and then.
        common: dict[str, Any] = {"broker": server.url_as(port=clients.port), "seconds": (0.005, 0.015)}
        common |= {"pause": 0.1, "results": True, "patience": plan.patience, "asks_again": True, "mutant": plan.mutant}
        fleet.source(name="threads", threads=4, **common)
        fleet.source(name="loop", face="async", threads=3, **common)
        fleet.ready()
        cutter = Cutter(fleet, clients, workers)
        began = time.monotonic()
        for step, direction, action in plan.all():
            cutter.cut(step, direction, action)
        seconds = time.monotonic() - began
        outcome = fleet.outcome(stop=300.0, drain=size(60.0, 20.0))
        twice = notary.twice()
    return {
        "cuts": sum(cutter.fired.values()),
        "cuts_with_work_under_way": cutter.busy,
        "by_step": cutter.fired,
        "seconds": round(seconds, 1),
        "slowest_recovery": round(cutter.slowest, 2),
        **outcome,
        "outcomes_heard_by_redis": sum(notary.terminal.values()),
        "terminal_twice": twice,
    }


def test_no_cut_loses_anything_or_does_it_twice(own_redis: RedisServer, tmp_path: Path) -> None:
    report = drill(own_redis, tmp_path, Plan())

    keep("redis-cuts", report)
    assert report["cuts"] >= CUTS
    assert report["cuts_with_work_under_way"] * 2 >= report["cuts"]
    assert (report["lost"], report["unexpected"], report["missing_results"], report["left"]) == (0, 0, 0, 0)
    assert report["problems"] == []
    assert (report["again"], report["terminal_twice"], report["stale_refused"]) == (0, 0, 0)
    assert report["outcomes_heard_by_redis"] >= report["confirmed"]
    assert report["slowest_send"] <= PUBLISH_TIMEOUT + 1.0
    assert set(report["exit_codes"]) == {0}
