"""rabbit-cuts: the connection breaks, or everything on it vanishes, at every step of a task's way: publish, confirm,
deliver, acknowledge, reply. Nothing is lost; with a store nothing ends twice; without one the second runs are counted.
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
from tests.e2e.fleet import Fleet
from tests.servers.proxy import Proxy
from tests.servers.rabbit.remote import Rabbit, Vhost
from tests.servers.wire.rules import Action, Direction

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(7200, 300))]

CUTS = size(520, 52)
"""Resets and orderly ends; each step's black holes come on top."""
HEARTBEAT = size(20, 1)
"""Seconds: of the worker's connections. A black hole lasts until they have noticed it."""
PUBLISH_TIMEOUT = size(10.0, 2.0)
HOLE_SECONDS = size(50.0, 3.0)
PATIENCE = size(180.0, 30.0)

TO_SERVER, TO_CLIENT = Direction.TO_SERVER, Direction.TO_CLIENT
WITH_CONTENT = (Action.CUT_BEFORE, Action.CUT_AMID, Action.CUT_AFTER, Action.DROP_AND_CUT)
WITHOUT = (Action.CUT_BEFORE, Action.CUT_AFTER, Action.DROP_AND_CUT)


@dataclass(frozen=True)
class Step:
    """Where on a task's way: on whose connection, at which frame."""

    name: str
    client: bool
    direction: Direction
    methods: tuple[str, ...]
    actions: tuple[Action, ...]


STEPS = (
    Step("publish", True, TO_SERVER, ("basic.publish",), WITH_CONTENT),
    Step("confirm", True, TO_CLIENT, ("basic.ack",), WITHOUT),
    Step("deliver", False, TO_CLIENT, ("basic.deliver", "basic.get-ok"), WITH_CONTENT),
    Step("acknowledge", False, TO_SERVER, ("basic.ack",), WITHOUT),
)
REPLIES = (
    Step("reply", False, TO_SERVER, ("basic.publish",), WITH_CONTENT),
    Step("reply confirmed", False, TO_CLIENT, ("basic.ack",), WITHOUT),
    Step("reply delivered", True, TO_CLIENT, ("basic.deliver",), WITH_CONTENT),
    Step("reply acknowledged", True, TO_SERVER, ("basic.ack",), WITHOUT),
)


class Cutter:
    """Breaks one connection after the other, each at its frame, and waits until work goes on."""

    def __init__(self, fleet: Fleet, clients: Proxy, workers: Proxy) -> None:
        self.fleet, self.clients, self.workers = fleet, clients, workers
        self.dice = random.Random(SEED)
        self.fired: dict[str, int] = {}
        self.slowest = 0.0

    def cut(self, step: Step, action: Action) -> None:
        proxy = self.clients if step.client else self.workers
        nth = self.dice.randrange(1, 4)
        rules = [proxy.on(step.direction, method, action, nth) for method in step.methods]
        self.fleet.until(lambda: any(rule.fired for rule in rules), 60.0, lambda: f"{step.name} does not happen")
        for rule in rules:
            # The others are not for later.
            rule.fire()
        name = f"{step.name}: {action.name}"
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
    """`store`: whether a SQLite file keeps the outcomes; without one they travel as messages."""

    store: bool
    cuts: int = CUTS
    holes: bool = True
    mutant: str = ""
    patience: float = PATIENCE

    def steps(self) -> Iterator[tuple[Step, Action]]:
        """Every step with every action, again and again, in an order by chance; one black hole for each step."""
        steps = STEPS if self.store else STEPS + REPLIES
        pairs = [(step, action) for step in steps for action in step.actions]
        chosen = list(islice(cycle(pairs), self.cuts))
        chosen += [(step, Action.BLACKHOLE) for step in steps if self.holes]
        random.Random(SEED).shuffle(chosen)
        return iter(chosen)


def drill(rabbit: Rabbit, vhost: Vhost, folder: Path, plan: Plan) -> dict[str, Any]:
    results = f"sqlite:///{folder / 'results.db'}" if plan.store else None
    settings = {"broker_heartbeat": HEARTBEAT, "publish_timeout": PUBLISH_TIMEOUT, "result_persistent": True}
    with (
        Proxy(rabbit.port) as clients,
        Proxy(rabbit.port) as workers,
        Fleet(folder, rabbit.url_of(vhost.name, port=workers.port), results, **settings) as fleet,
    ):
        for number in range(2):
            fleet.worker(f"w{number}", "-c", "1", mutant=plan.mutant)
        common: dict[str, Any] = {"broker": rabbit.url_of(vhost.name, port=clients.port), "seconds": (0.005, 0.02)}
        common |= {"pause": 0.05, "results": True, "patience": plan.patience, "mutant": plan.mutant}
        fleet.source(name="threads", threads=4, **common)
        fleet.source(name="loop", face="async", threads=3, **common)
        fleet.ready()
        cutter = Cutter(fleet, clients, workers)
        began = time.monotonic()
        for step, action in plan.steps():
            cutter.cut(step, action)
        seconds = time.monotonic() - began
        outcome = fleet.outcome(stop=300.0, drain=size(120.0, 20.0))
    return {
        "cuts": sum(cutter.fired.values()),
        "by_step": cutter.fired,
        "seconds": round(seconds, 1),
        "slowest_recovery": round(cutter.slowest, 2),
        **outcome,
    }


@pytest.mark.parametrize("store", [False, True], ids=["broker-only", "with-store"])
def test_no_cut_loses_anything(store: bool, rabbit: Rabbit, rabbit_vhost: Vhost, tmp_path: Path) -> None:
    report = drill(rabbit, rabbit_vhost, tmp_path, Plan(store=store))

    keep(f"rabbit-cuts-{'with-store' if store else 'broker-only'}", report)
    # A rule fires at a frame that carries a task or its outcome: every one of these cuts struck work in flight.
    assert report["cuts"] >= CUTS
    assert (report["lost"], report["unexpected"], report["missing_results"]) == (0, 0, 0)
    assert report["problems"] == []
    assert report["committed_twice"] == 0
    if not store:
        assert report["again"] <= report["cuts"]
    assert report["slowest_send"] <= PUBLISH_TIMEOUT + 1.0
    assert set(report["exit_codes"]) == {0}
