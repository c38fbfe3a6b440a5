"""Several schedulers on one store and one broker, in virtual time, with faults at every call and clocks that jump."""

import asyncio
import logging
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from leveret.brokers.memory import MemoryBroker
from leveret.links.memory.messages import Messages
from leveret.links.memory.schedules import Schedules
from leveret.links.memory.server import MemoryServer
from leveret.logic.schedules.ticks import MOMENT_HEADER, NAME_HEADER
from leveret.model.delivery import Claim, Posting, SessionId, Verdict
from leveret.model.message import TaskId
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.schedules.entry import CatchUp, Entry
from leveret.model.settlement import Commitment, Record
from leveret.model.state import SUCCESS
from leveret.scheduler.overlap import Overlaps
from leveret.scheduler.scheduler import Scheduler, SchedulerParts
from leveret.schedulestores.memory import MemorySchedules
from leveret.testing.clock import SimClock
from leveret.testing.conformance.schedules.rig import entry as plain_entry
from leveret.testing.faults import Fault, Faults, Plan, Wire
from leveret.testing.loop import run_virtual

OPTIONS = DriverOptions(lease_seconds=1e9, dead_letter_expires=None)
SCHEDULERS = 3
PUBLISH_SECONDS = 10.0
LATEST_SECONDS = 60.0
"""However many faults meet: a moment is entered no later than this, when any scheduler lives."""
QUIET_SECONDS = 90.0
FAULT_EVERY = 4.0
VERBS = ("due", "due", "take", "take", "publish", "publish", "report", "report", "sync", None)


class JumpingClock(SimClock):
    """A machine whose wall clock is set wrong now and then; its durations are right."""

    def __init__(self, real: SimClock, dice: random.Random) -> None:
        super().__init__(real.start, dice)
        self._real, self._wrong, self._jumps = real, 0.0, dice

    def now(self) -> float:
        if self._jumps.random() < 0.05:
            self._wrong = self._jumps.choice((-3600.0, 0.0, 3600.0))
        return self._real.now() + self._wrong

    def monotonic(self) -> float:
        return self._real.elapsed


class CountedMessages(Messages):
    """Every message that passes the door is an occurrence."""

    entered: dict[str, Counter[float]]
    lateness: list[float]

    def _enter(self, posting: Posting, now: float) -> None:
        headers = posting.encoded.headers
        moment = datetime.fromisoformat(headers[MOMENT_HEADER]).timestamp()
        self.entered[headers[NAME_HEADER]][moment] += 1
        self.lateness.append(now - moment)
        super()._enter(posting, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The real parts, unless a mutant says otherwise."""

    name: str = "as shipped"
    scheduler: type[Scheduler] = Scheduler
    schedules: type[Schedules] = Schedules
    patches: tuple[tuple[Any, str, Any], ...] = ()
    calm: bool = False


@dataclass(slots=True)
class Outcome:
    seed: int
    expected: int
    wrong: int
    """Occurrences that are not exactly one."""
    violations: list[str]
    lateness: list[float]
    struck: Counter[Fault] = field(default_factory=Counter)
    changes: int = 0
    kills: int = 0


class World:
    def __init__(self, seed: int, entries: int, ticks: int, variant: Variant) -> None:
        self.dice = random.Random(seed)
        self.clock = SimClock(dice=random.Random(seed + 1))
        self.variant, self.ticks = variant, ticks
        self.server = MemoryServer(OPTIONS, self.clock, lambda pid: True)
        self.server.schedules = variant.schedules()
        messages = self.server.messages = CountedMessages(OPTIONS, self.server.bells, self.server.records.stops)
        messages.entered, messages.lateness = defaultdict(Counter), []
        self.messages = messages
        self.begin = self.clock.now() + 2.0
        self.entries = [self._entry(number) for number in range(entries)]
        plans = [] if variant.calm else [self._plan(at) for at in self._times()]
        self.faults = Faults(self.clock, random.Random(seed + 2), plans)
        self.changes = self.kills = 0

    def _entry(self, number: int) -> Entry:
        start = self.begin + number / 64
        facts = {"start": start, "end": start + self.ticks - 0.5, "catch_up": CatchUp(policy="all", most=1_000_000)}
        return plain_entry(f"e{number}", 1.0, source="code", **facts)

    def _times(self) -> list[float]:
        return sorted(self.dice.uniform(0.0, self.ticks) for _ in range(int(self.ticks / FAULT_EVERY)))

    def _plan(self, at: float) -> Plan:
        fault = self.dice.choice(tuple(Fault))
        seconds = {
            Fault.DELAY: self.dice.uniform(0.05, 5.0),
            Fault.DUPLICATE: self.dice.uniform(0.05, 5.0),
            Fault.OUTAGE: self.dice.uniform(0.5, 6.0),
        }.get(fault, self.dice.uniform(1.0, 15.0))
        return Plan(at=at, fault=fault, verb=self.dice.choice(VERBS), seconds=seconds, late=self.dice.random() < 0.5)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        actors = [loop.create_task(self._scheduler(number)) for number in range(SCHEDULERS)]
        actors += [loop.create_task(self._consume()), loop.create_task(self._change())]
        await asyncio.sleep(self.ticks + 3.0)
        self.faults.heal()
        end = self.clock.elapsed + QUIET_SECONDS
        while self.clock.elapsed < end and not self._settled():  # noqa: ASYNC110 - nobody sets an event: it is judged
            await asyncio.sleep(1.0)
        for actor in actors:
            actor.cancel()

    def _settled(self) -> bool:
        standings = self.server.schedules.look(None, 0)
        return all(s is not None and s.due is None for s in standings) and not self.server.schedules._taken

    async def _scheduler(self, number: int) -> None:
        """Lives, dies at any call, and is started again."""
        for life in range(1_000_000):
            wire = Wire(f"scheduler{number}.{life}")
            died = asyncio.Event()
            wire.on_crash = died.set
            broker = self.faults.proxy(MemoryBroker(self.server), wire)

            async def publish(postings: tuple[Posting, ...], broker: Any = broker) -> None:
                async with asyncio.timeout(PUBLISH_SECONDS):
                    await broker.publish(postings)

            parts = SchedulerParts(
                store=self.faults.proxy(MemorySchedules(self.server), wire),
                publish=publish,
                clock=JumpingClock(self.clock, random.Random(number * 1000 + life)),
                overlaps=Overlaps(None),
                source="code",
                entries=tuple(self.entries),
            )
            work = asyncio.get_running_loop().create_task(self.variant.scheduler(parts).run())
            try:
                await died.wait()
            finally:
                work.cancel()
            self.kills += 1
            await asyncio.sleep(self.dice.uniform(0.1, 4.0))

    async def _change(self) -> None:
        """Somebody edits entries: each change is another revision, and another id for the same moment."""
        while self.clock.elapsed < self.ticks and not self.variant.calm:
            await asyncio.sleep(self.dice.uniform(0.2, 3.0))
            place = self.dice.randrange(len(self.entries))
            self.changes += 1
            changed = msgspec.structs.replace(self.entries[place], arguments=str(self.changes))
            self.entries[place] = changed
            await MemorySchedules(self.server).put((changed,))

    async def _consume(self) -> None:
        """Run everything: what has ended leaves a tombstone, as a task without a result does."""
        session, number = SessionId("s"), 0
        node = Node(name="w", incarnation="w", boot="b", pid=1, queues=("q",))
        self.server.register(node, (Session(id=session, node="w", incarnation="w", pid=1),))
        while True:
            await asyncio.sleep(0.3)
            number += 1
            claim = Claim(session=session, queues=("q",), credit=1000, number=number)
            self.server.commit(tuple(_ended(delivery) for delivery in self.server.claim(claim)))

    def judge(self, seed: int) -> Outcome:
        violations, wrong = [], 0
        for entry in self.entries:
            found = self.messages.entered[entry.name]
            assert entry.start is not None
            expected = {round((entry.start + tick) * 64) for tick in range(self.ticks)}
            seen = {round(moment * 64): times for moment, times in found.items()}
            bad = {
                tick: seen.get(tick, 0)
                for tick in expected | set(seen)
                if (seen.get(tick, 0) != 1 or tick not in expected)
            }
            wrong += len(bad)
            for times in sorted(set(bad.values())):
                kind = "lost" if times == 0 else "fired twice" if times > 1 else "out of place"
                violations.append(f"{kind}: {entry.name}")
        lateness = sorted(self.messages.lateness)
        if lateness and lateness[0] < -0.001:
            violations.append(f"early: {lateness[0]:.3f} s")
        if lateness and lateness[-1] > LATEST_SECONDS:
            violations.append(f"late: {lateness[-1]:.1f} s")
        return Outcome(
            seed=seed, expected=len(self.entries) * self.ticks, wrong=wrong, violations=violations, lateness=lateness,
            struck=self.faults.struck, changes=self.changes, kills=self.kills,
        )  # fmt: skip


def _ended(delivery: Any) -> Commitment:
    key = TaskId(str(delivery.encoded.headers["id"]))
    record = Record(id=key, attempt=0, state=SUCCESS, tombstone=True)
    return Commitment(receipt=delivery.receipt, verdict=Verdict.ACK, record=record)


def simulate(seed: int, *, entries: int, ticks: int, variant: Variant | None = None) -> Outcome:
    """Run one seed."""
    variant = variant or Variant()
    logging.disable(logging.CRITICAL)
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in variant.patches]
    for owner, name, replacement in variant.patches:
        setattr(owner, name, replacement)
    try:
        world = World(seed, entries, ticks, variant)
        run_virtual(world.run(), world.clock)
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)
        logging.disable(logging.NOTSET)
    return world.judge(seed)


# One outage of all schedulers.


def outage(entries: list[Entry], *, before: float, down: float, after: float) -> dict[str, list[float]]:
    """Run a scheduler, none for a while, and one again; answers which moments of each entry were run, in order, as
    seconds from the start."""
    clock = SimClock()
    server = MemoryServer(OPTIONS, clock, lambda pid: True)
    messages = server.messages = CountedMessages(OPTIONS, server.bells, server.records.stops)
    messages.entered, messages.lateness = defaultdict(Counter), []

    def made() -> Scheduler:
        return Scheduler(
            SchedulerParts(
                store=MemorySchedules(server),
                publish=MemoryBroker(server).publish,
                clock=clock,
                overlaps=Overlaps(None),
                source="code",
                entries=tuple(entries),
            )  # fmt: skip
        )

    async def main() -> None:
        for seconds, pause in ((before, down), (after, 0.0)):
            running = asyncio.get_running_loop().create_task(made().run())
            await asyncio.sleep(seconds)
            running.cancel()
            await asyncio.sleep(pause)

    run_virtual(main(), clock)
    return {
        entry.name: [round(moment - clock.start, 3) for moment in sorted(messages.entered[entry.name])]
        for entry in entries
    }
