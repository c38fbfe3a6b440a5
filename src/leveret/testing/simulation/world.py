"""One seeded run: producers, nodes, faults, then healing, and the judgement."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from leveret.logic.codec import Codec, Limits
from leveret.logic.compression import Compressions, builtin_compressions
from leveret.logic.following import Following
from leveret.logic.recording import Rules
from leveret.logic.serializers import Serializers, builtin_serializers
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.testing.clock import SimClock
from leveret.testing.faults import Fault, Faults, Plan
from leveret.testing.loop import run_virtual
from leveret.testing.simulation.executor import KILLER
from leveret.testing.simulation.history import History
from leveret.testing.simulation.nodes import SimNode
from leveret.testing.simulation.producers import Marks, Producer
from leveret.testing.simulation.variant import Variant, in_force
from leveret.testing.simulation.work import FIRES, Tasks, Work, draw, fire

PRODUCERS, NODES, FAULTS = 2, 3, 10
FAULTS_UNTIL = 9.0
"""Seconds in which the faults begin."""
HEALED_AT = 14.0
BOUND = 60.0
"""Seconds after the healing (and after the last pause and cut are over) in which everything must have ended."""
OPTIONS = DriverOptions(lease_seconds=5.0, tick_stale_seconds=2.0, dead_letter_expires=None)
CODEC = Codec(
    Serializers(builtin_serializers()), Compressions(builtin_compressions()), Limits(), accept=frozenset({"json"})
)
SHIPPED = Variant()

VERBS = (
    "publish", "claim", "claim", "commit", "commit", "settle", "store", "arrive", "give_back", "beat", "reap",
    "reconcile", "register", "mark", "upkeep", "get", None, None, None,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """What one run found. `digest` is the same for the same seed."""

    seed: int
    violations: tuple[str, ...]
    digest: str
    struck: Counter[Fault]
    seconds: float
    """Simulated."""
    runs: int
    repeated: int
    """Runs of an attempt beyond its first, but for those that asked for it."""
    refused: int
    """Settlements the fence refused."""
    events: tuple[tuple[object, ...], ...] = ()


class World:
    """Everything of one run; `serial` numbers whatever needs a number."""

    def __init__(self, seed: int, variant: Variant = SHIPPED) -> None:
        self.dice = random.Random(seed)
        self.variant = variant
        self.clock = SimClock(dice=random.Random(seed + 1))
        self.start = self.clock.now()
        self.url, self.options = Url("memory://simulation"), OPTIONS
        self.history = History(self.clock)
        self.pids: set[int] = set()
        self.server = variant.server(self.options, self.clock, self.pids.__contains__, self.history)
        self.codec, self.tasks = CODEC, Tasks()
        self.rules = Rules(codec=CODEC, following=Following(registry=self.tasks))
        self.works = [work for work in draw(self.dice) if not (variant.calm and work.task == KILLER)]
        self.moments = [round(1.0 + 2.0 * n + self.dice.random(), 1) for n in range(FIRES)]
        self.marks = Marks()
        self.slots = self.dice.choice((1, 1, 3))
        self.fused = self.dice.random() < 0.5 if variant.fused is None else variant.fused
        self.faults = Faults(self.clock, random.Random(seed + 2), [] if variant.calm else plan_faults(self.dice))
        self.faults.trace = self.history.note
        self._serial = 0
        self._spawned: list[asyncio.Task[Any]] = []
        self.history.ignored.update(work.id for work in self.works if leaves_no_trace(work))

    def serial(self) -> int:
        self._serial += 1
        return self._serial

    def spawn(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.get_running_loop().create_task(work)
        self._spawned.append(task)
        return task

    async def run(self) -> None:
        """Let the actors play until everything has ended or the time is over, then judge."""
        self.nodes = [SimNode(self, f"w{n}") for n in range(NODES)]
        self.producers = self._producers()
        if self.dice.random() < 0.5 and not self.variant.calm:
            deploy = self.dice.choice(self.nodes)
            asyncio.get_running_loop().call_later(self.dice.uniform(2.0, 8.0), lambda: self.spawn(deploy.restart()))
        while not self._ended() and self.clock.elapsed < self._bound():
            await asyncio.sleep(0.25)
            if self.clock.elapsed >= HEALED_AT:
                self.faults.heal()
        self._judge()

    def _producers(self) -> list[Any]:
        return [Producer(self, n) for n in range(PRODUCERS)]

    def _ended(self) -> bool:
        busy = self.faults.pending or any(not producer.done for producer in self.producers)
        return not busy and not self.server.messages.waiting()

    def _bound(self) -> float:
        troubled = [self.faults.silent_until, HEALED_AT]
        for node in self.nodes:
            troubled += [node.wire.paused_until, node.wire.cut_until]
        return max(troubled) + BOUND

    def _judge(self) -> None:
        for task in self._spawned:
            if task.done() and not task.cancelled() and task.exception() is not None:
                self.history.violations.append(f"actor broke: {task.exception()!r}")
        waiting = self.server.messages.waiting()
        unsent = [work.id for producer in self.producers for work in producer.outbox]
        works = [*self.works, *(fire(moment) for moment in self.moments)]
        self.history.check(works, [*waiting, *unsent])


def leaves_no_trace(work: Work) -> bool:
    """Whether a resend may enter after the first copy has ended, or has begun where that is all it needs."""
    return (work.task.endswith("ignored") and not work.embed and not work.derived) or work.may_vanish


def plan_faults(dice: random.Random) -> list[Plan]:
    plans = []
    for _ in range(FAULTS):
        fault = dice.choice(tuple(Fault))
        seconds = {
            Fault.DELAY: dice.uniform(0.05, 3.0),
            Fault.DUPLICATE: dice.uniform(0.05, 3.0),
            Fault.OUTAGE: dice.uniform(1.0, 9.0),
        }.get(fault, dice.uniform(1.0, 12.0))
        at, late = dice.uniform(0.2, FAULTS_UNTIL), dice.random() < 0.5
        plans.append(Plan(at=at, fault=fault, verb=dice.choice(VERBS), seconds=seconds, late=late))
    return plans


def simulate(seed: int, variant: Variant = SHIPPED, *, keep_events: bool = False) -> Result:
    """Run one seed."""
    return play(World, seed, variant, keep_events=keep_events)


def play(kind: type[World], seed: int, variant: Variant, *, keep_events: bool) -> Result:
    """Run one seed of a kind of world."""
    logging.disable(logging.CRITICAL)
    try:
        with in_force(variant):
            world = kind(seed, variant)
            run_virtual(world.run(), world.clock)
    finally:
        logging.disable(logging.NOTSET)
    history = world.history
    return Result(
        seed=seed,
        violations=tuple(history.violations),
        digest=history.digest(),
        struck=world.faults.struck,
        seconds=world.clock.elapsed,
        runs=sum(history.runs.values()),
        repeated=sum(times - 1 for (name, _), times in history.runs.items() if not name.startswith("snooze")),
        refused=history.refused,
        events=tuple(history.events()) if keep_events else (),
    )
