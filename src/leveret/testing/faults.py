"""Faults at every port call: between a process and its servers stands a wire that can be cut, slowed and doubled."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from leveret.errors import OperationalError, PublishUnknown
from leveret.testing.clock import SimClock

Call = Callable[..., Awaitable[Any]]


class Fault(Enum):
    DROP_REQUEST = "request dropped"
    """The call fails and was not executed."""
    DROP_REPLY = "reply dropped"
    """The call was executed and fails ("execute and time out")."""
    DELAY = "call delayed"
    DUPLICATE = "call doubled"
    """Executed a second time, at once or a little later; the first answer counts."""
    CRASH = "process killed"
    """The process stops at this very call, before or after it was executed."""
    NODE_CRASH = "node killed"
    """As CRASH, and its supervisor with it."""
    PAUSE = "node paused"
    """SIGSTOP of everything on the node, for longer than its lease."""
    PARTITION = "node cut off"
    OUTAGE = "server silent"
    """Nobody gets an answer for longer than a lease."""


@dataclass
class Plan:
    """One fault to come: it strikes the first call after `at` (elapsed seconds) that fits `verb` (None: any)."""

    at: float
    fault: Fault
    verb: str | None
    seconds: float
    """How long a delay, pause, cut or silence lasts."""
    late: bool
    """DUPLICATE: the second execution comes later. CRASH: after the execution, not before it."""


class Wire:
    """What one process sees of its servers. The processes of a node share `node`."""

    def __init__(self, name: str, node: "Wire | None" = None) -> None:
        self.name = name
        self.node = node or self
        self.dead = False
        self.paused_until = 0.0
        self.cut_until = 0.0
        self.on_crash: Callable[[], object] = lambda: None

    def is_dead(self) -> bool:
        return self.dead or self.node.dead

    def troubled(self, elapsed: float) -> bool:
        return self.is_dead() or self.node.paused_until > elapsed or self.node.cut_until > elapsed


class Faults:
    """Deals out the planned faults of one run. `struck` counts what really happened.

    A fault whose verb does not come within `patience` seconds strikes whatever comes.
    """

    patience = 2.0

    def __init__(self, clock: SimClock, dice: random.Random, plans: list[Plan]) -> None:
        self._clock, self._dice = clock, dice
        self._plans = sorted(plans, key=lambda plan: plan.at)
        self.struck: Counter[Fault] = Counter()
        self.silent_until = 0.0
        self.trace: Callable[..., object] = lambda *facts: None

    @property
    def pending(self) -> bool:
        return bool(self._plans)

    def heal(self) -> None:
        self._plans.clear()

    def latency(self) -> float:
        """Seconds a call takes to arrive: half of them none, so that calls overtake one another."""
        return max(0.0, 0.004 * self._dice.random() - 0.002)

    def draw(self, verb: str) -> Plan | None:
        """Take the next fault when its time has come and it fits the call."""
        if not self._plans or self._plans[0].at > self._clock.elapsed:
            return None
        plan = self._plans[0]
        if plan.verb not in (None, verb) and self._clock.elapsed < plan.at + self.patience:
            return None
        return self._plans.pop(0)

    def proxy(self, port: Any, wire: Wire) -> Any:
        return Faulty(port, wire, self, self._clock)


class Faulty:
    """A port as seen through a wire. Attributes that are not methods pass through."""

    def __init__(self, port: Any, wire: Wire, faults: Faults, clock: SimClock) -> None:
        self._port, self._wire, self._faults, self._clock = port, wire, faults, clock

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._port, name)
        if not callable(target):
            return target

        async def call(*args: Any) -> Any:
            return await self._call(name, target, args)

        setattr(self, name, call)
        return call

    async def _call(self, verb: str, target: Call, args: tuple[Any, ...]) -> Any:
        faults = self._faults
        latency = faults.latency()
        if latency and verb not in WAITING:
            loop = asyncio.get_running_loop()
            arrival = loop.create_future()
            loop.call_later(latency, arrival.set_result, None)
            await arrival
        plan = None if verb in WAITING else faults.draw(verb)
        if plan is not None:
            faults.struck[plan.fault] += 1
            faults.trace("fault", plan.fault.value, verb, self._wire.name)
            self._begin(plan)
        if self._wire.troubled(self._clock.elapsed) or faults.silent_until > self._clock.elapsed:
            await self._passage(verb)
        if plan is None:
            answer = await target(*args)
        else:
            answer = await self._struck(plan, verb, target, args)
        if self._wire.is_dead():
            await asyncio.get_running_loop().create_future()
        return answer

    def _begin(self, plan: Plan) -> None:
        wire, until = self._wire, self._clock.elapsed + plan.seconds
        match plan.fault:
            case Fault.PAUSE:
                wire.node.paused_until = until
            case Fault.PARTITION:
                wire.node.cut_until = until
            case Fault.OUTAGE:
                self._faults.silent_until = until
            case _:
                return

    async def _passage(self, verb: str) -> None:
        """Nothing gets out of the dead, the paused wait, the cut off get an error after a while."""
        wire, clock, faults = self._wire, self._clock, self._faults
        while True:
            if wire.is_dead():
                await asyncio.get_running_loop().create_future()
            paused = wire.node.paused_until - clock.elapsed
            if paused > 0:
                await asyncio.sleep(paused + 0.0001)
                continue
            cut = max(wire.node.cut_until, faults.silent_until) - clock.elapsed
            if cut <= 0:
                return
            await asyncio.sleep(min(cut, 1.0))
            if not wire.is_dead() and wire.node.paused_until <= clock.elapsed:
                raise lost(verb, "no route to the server")

    async def _struck(self, plan: Plan, verb: str, target: Call, args: tuple[Any, ...]) -> Any:
        match plan.fault:
            case Fault.DROP_REQUEST:
                raise lost(verb, "the request was lost")
            case Fault.DROP_REPLY:
                await target(*args)
                await asyncio.sleep(0.001)
                raise lost(verb, "the reply was lost")
            case Fault.DELAY:
                await asyncio.sleep(plan.seconds)
                await self._passage(verb)
                return await target(*args)
            case Fault.DUPLICATE:
                answer = await target(*args)
                await self._double(plan, verb, target, args)
                return answer
            case Fault.CRASH | Fault.NODE_CRASH:
                return await self._crash(plan, target, args)
            case Fault.PAUSE | Fault.PARTITION | Fault.OUTAGE:
                return await target(*args)

    async def _double(self, plan: Plan, verb: str, target: Call, args: tuple[Any, ...]) -> None:
        # A connection repeats no bytes by itself: a late second publish can only be its sender's resend.
        if not plan.late or verb == "publish":
            await quietly(target, args)
            return
        loop = asyncio.get_running_loop()
        loop.call_later(plan.seconds, lambda: loop.create_task(quietly(target, args)))

    async def _crash(self, plan: Plan, target: Call, args: tuple[Any, ...]) -> Any:
        if plan.late:
            await target(*args)
        victim = self._wire.node if plan.fault is Fault.NODE_CRASH else self._wire
        victim.dead = True
        victim.on_crash()
        await asyncio.get_running_loop().create_future()


WAITING = frozenset({"bell", "wait"})
"""Calls that only wait: losing one says nothing, and most of all calls are these."""


def lost(verb: str, why: str) -> OperationalError | PublishUnknown:
    return PublishUnknown(why) if verb == "publish" else OperationalError(f"{verb}: {why}")


async def quietly(target: Call, args: tuple[Any, ...]) -> None:
    try:
        await target(*args)
    except Exception:
        return  # nobody reads the answer of a doubled call
