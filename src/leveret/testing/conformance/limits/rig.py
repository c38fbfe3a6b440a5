"""What the cases stand on: processes on one server, sessions that come and go, and time that passes when told."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import pytest

from leveret.model.delivery import SessionId
from leveret.model.limiting.gate import Answer, Bound, Entry, Exit, Grant, Open, Passed, Wait, Wish
from leveret.model.node import Node, Reaping, Session
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock
from leveret.testing.clock import SimClock

OPTIONS = DriverOptions()
SESSIONS = ("s1", "s2", "s3")
PENDING_SECONDS = 0.5
NODE = Node(name="w@host", incarnation="w", boot="b", pid=1, queues=("q",))


class LimitsFactory(Protocol):
    def __call__(self, options: DriverOptions, clock: Clock) -> Any: ...


class Rig:
    def __init__(self, factory: LimitsFactory) -> None:
        self.real_time = getattr(factory, "real_time", False)
        self.clock = SimClock()
        self.driver, self.other = (factory(OPTIONS, self.clock) for _ in range(2))
        self.gate, self.other_gate = self.driver.gate(), self.other.gate()
        self.insight, self.keys = self.driver.insight(), self.driver.keys()
        self._leases = self.driver.leases() if hasattr(self.driver, "leases") else None

    async def register(self, *names: str) -> None:
        sessions = tuple(
            Session(id=SessionId(name), node=NODE.name, incarnation=NODE.incarnation, pid=1) for name in names
        )
        await (self._leases or self.driver.ledger()).register(NODE, sessions)

    async def reap(self, name: str) -> None:
        """A process was killed, and its supervisor has seen it."""
        if self._leases is not None:
            await self._leases.reap((Reaping(session=SessionId(name)),))
        else:
            await self.driver.ledger().end(SessionId(name))

    async def advance(self, seconds: float) -> None:
        if self.real_time:
            await asyncio.sleep(seconds)
        else:
            self.clock.advance(seconds)

    async def enter(self, *ids: str, bounds: tuple[Bound, ...], session: str = "s1", attempt: int = 0) -> list[Answer]:
        entries = tuple(Entry(id=name, attempt=attempt, bounds=bounds, task="t") for name in ids)
        return list(await self.gate.enter(SessionId(session), entries))

    async def one(self, name: str, *bounds: Bound, session: str = "s1", attempt: int = 0) -> Answer:
        return (await self.enter(name, bounds=bounds, session=session, attempt=attempt))[0]

    async def over(self, name: str, *bounds: Bound, session: str = "s1", **facts: Any) -> None:
        facts.setdefault("outcome", "success")
        await self.gate.leave(SessionId(session), (Exit(id=name, bounds=bounds, **facts),), {})

    async def succeed(self, counts: Mapping[str, int]) -> None:
        await self.gate.leave(SessionId("s1"), (), counts)

    def wish(self, name: str, seconds: float = 60.0, *, key: str = "k", replace: bool = False) -> Grant:
        wished = Wish(key=key, id=name, seconds=seconds, replace=replace)
        granted: tuple[Grant, ...] = self.keys.wish((wished,), PENDING_SECONDS)
        return granted[0]

    def sent(self, name: str, seconds: float = 60.0, *, key: str = "k") -> None:
        self.keys.sent((Wish(key=key, id=name, seconds=seconds),))

    def unsent(self, name: str, *, key: str = "k") -> None:
        self.keys.unsent((Wish(key=key, id=name, seconds=60.0),))

    def only_stepped(self) -> None:
        """For what takes minutes."""
        if self.real_time:
            pytest.skip("this server lives in its own time, and the case over minutes")

    async def close(self) -> None:
        for driver in (self.driver, self.other):
            if hasattr(driver, "close"):
                driver.close()


def passed(answers: list[Answer]) -> list[bool]:
    return [isinstance(answer, Passed) for answer in answers]


def waits(answer: Answer) -> float:
    """The seconds of one that may not begin yet."""
    assert isinstance(answer, Wait | Open), answer
    assert answer.seconds > 0
    return answer.seconds


Case = Callable[[Any, Rig], Awaitable[None]]


def case(function: Case) -> Callable[[Any, LimitsFactory], None]:
    """Turn `async def test_x(self, rig)` into a test."""

    def test(self: Any, limits_factory: LimitsFactory) -> None:
        asyncio.run(_run(functools.partial(function, self), limits_factory))

    functools.update_wrapper(test, function)
    del test.__wrapped__  # type: ignore[attr-defined] # pytest would look through it and ask for a fixture `rig`
    return test


async def _run(function: Callable[[Rig], Awaitable[None]], factory: LimitsFactory) -> None:
    rig = Rig(factory)
    try:
        await rig.register(*SESSIONS)
        await asyncio.wait_for(function(rig), 60)
    finally:
        await rig.close()
