"""What the cases of the suite stand on: a driver on a fresh server, a clock that is stepped, a few short verbs."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from leveret.model.delivery import Charge, Claim, Delivery, Encoded, Posting, Receipt, SessionId, Verdict
from leveret.model.message import TaskId
from leveret.model.node import Node, Pulse, Reaping, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Record, Seat, Stale
from leveret.model.state import RETRY, SUCCESS
from leveret.ports.clock import Clock
from leveret.ports.driver import FusedDriver
from leveret.testing.clock import SimClock

OPTIONS = DriverOptions(poll_seconds=0.02)
QUEUE = "q"


class DriverFactory(Protocol):
    """The fixture `driver_factory` answers one: each call is another driver (another process, so to speak) of the
    same server, which is fresh for each test."""

    def __call__(self, options: DriverOptions, clock: Clock) -> FusedDriver: ...


class Rig:
    """One driver with its faces, and the sessions a case has registered."""

    def __init__(self, factory: DriverFactory, options: DriverOptions = OPTIONS, clock: SimClock | None = None) -> None:
        self.factory, self.options = factory, options
        self.clock = clock or SimClock()
        self.driver = factory(options, self.clock)
        self.broker, self.leases = self.driver.broker(), self.driver.leases()
        self.chores, self.admin = self.driver.chores(), self.driver.admin()
        self.backend, self.committer = self.driver.backend(), self.driver.commit()
        self._numbers: dict[str, int] = {}
        self._others: list[Rig] = []

    def another(self) -> "Rig":
        """Open a second driver of the same server, on the same clock."""
        rig = Rig(self.factory, self.options, self.clock)
        self._others.append(rig)
        return rig

    async def close(self) -> None:
        for rig in (*self._others, self):
            await rig.broker.close()
            await rig.backend.close()

    # Who

    def node(self, name: str = "w1", **changes: Any) -> Node:
        facts = {"incarnation": f"{name}-1", "boot": "boot", "pid": 4_000_001, "queues": (QUEUE,), **changes}
        return Node(name=name, **facts)

    async def join(self, session: str = "s1", node: Node | None = None, *, quarantine: bool = False) -> SessionId:
        """Register a session (and its node, named as the session unless given)."""
        node = node or self.node(f"node-{session}")
        name = SessionId(session)
        member = Session(id=name, node=node.name, incarnation=node.incarnation, pid=1, quarantine=quarantine)
        await self.leases.register(node, (member,))
        return name

    async def beat(self, name: str = "w1") -> Pulse:
        return await self.leases.beat(self.node(name))

    # What

    async def send(self, *names: str, **options: Any) -> None:
        await self.broker.publish(tuple(posting(name, **options) for name in names))

    async def claim(self, session: str = "s1", credit: int = 10, **options: Any) -> tuple[Delivery, ...]:
        """Claim with the session's next number."""
        self._numbers[session] = self._numbers.get(session, 0) + 1
        facts = {"queues": (QUEUE,), "number": self._numbers[session], **options}
        return await self.broker.claim(Claim(session=SessionId(session), credit=credit, **facts))

    async def one(self, session: str = "s1", **options: Any) -> Delivery:
        deliveries = await self.claim(session, 1, **options)
        assert len(deliveries) == 1, f"expected one delivery, got {deliveries}"
        return deliveries[0]

    async def settle(self, delivery: Delivery, verdict: Verdict = Verdict.ACK, **options: Any) -> Committed | Stale:
        (answer,) = await self.broker.settle((Commitment(receipt=delivery.receipt, verdict=verdict, **options),))
        return answer

    async def commit(self, delivery: Delivery, verdict: Verdict = Verdict.ACK, **options: Any) -> Committed | Stale:
        commitment = Commitment(receipt=delivery.receipt, verdict=verdict, **options)
        (answer,) = await self.committer.commit((commitment,))
        return answer

    async def store(self, *records: Record) -> tuple[bool, ...]:
        return await self.backend.store(records)

    async def reap(self, session: str, *charged: Delivery, suspect_others: bool = False) -> int:
        """End a session as its supervisor does, laying its death to `charged`."""
        charge = Charge(reason="signal 9", at=self.clock.now(), session=session)
        pairs = tuple((delivery.receipt, charge) for delivery in charged)
        reaping = Reaping(session=SessionId(session), charged=pairs, suspect_others=suspect_others)
        return await self.leases.reap((reaping,))

    async def reconcile(self, session: str, *held: Receipt) -> tuple[Delivery, ...]:
        return await self.leases.reconcile(SessionId(session), held)

    # When

    async def advance(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass as a living fleet sees it: chores run (and the tick is written) at every step."""
        end = self.clock.elapsed + seconds
        while self.clock.elapsed < end:
            self.clock.advance(min(step, end - self.clock.elapsed))
            await self.upkeep()

    async def upkeep(self) -> None:
        """Run chores until they have nothing left to do at once."""
        for _ in range(1000):
            if await self.chores.upkeep() > 0:
                return

    async def counts(self, queue: str = QUEUE) -> tuple[int, int | None, int | None, int]:
        """Answer (ready, delayed, claimed, dead)."""
        (counts,) = await self.admin.counts((queue,))
        return counts.ready, counts.delayed, counts.claimed, counts.dead


def posting(id: str, **options: Any) -> Posting:
    facts = {"queue": QUEUE, "encoded": encoded(id), **options}
    return Posting(id=id, **facts)


def encoded(id: str) -> Encoded:
    return Encoded(
        headers={"lang": "py", "task": "tasks.add", "id": id, "retries": 0, "x": {"deep": [1, None]}},
        body=b'[[1, "\xc3\xa9"], {}, {}]',
        reply_to="somebody",
    )


def success(id: str, attempt: int = 0, **options: Any) -> Record:
    return Record(id=TaskId(id), attempt=attempt, state=SUCCESS, terminal=True, **{"meta": b'{"result": 3}', **options})


def retry(id: str, attempt: int = 0, **options: Any) -> Record:
    return Record(id=TaskId(id), attempt=attempt, state=RETRY, **options)


def tombstone(id: str, attempt: int = 0, **options: Any) -> Record:
    return Record(id=TaskId(id), attempt=attempt, state=SUCCESS, tombstone=True, terminal=True, **options)


def seat(index: int, value: bytes, *, join: str = "j", size: int = 3) -> Seat:
    return Seat(join=join, index=index, size=size, value=value)


def ids(deliveries: tuple[Delivery, ...]) -> list[str]:
    return [delivery.encoded.headers["id"] for delivery in deliveries]


Case = Callable[[Any, Rig], Awaitable[None]]


def case(function: Case) -> Callable[[Any, DriverFactory], None]:
    """Turn `async def test_x(self, rig)` into a test that runs on a loop of its own, on a fresh server."""
    return _runner(function, OPTIONS)


def case_with(options: DriverOptions) -> Callable[[Case], Callable[[Any, DriverFactory], None]]:
    """As `case`, with options of the case's own."""
    return lambda function: _runner(function, options)


def _runner(function: Case, options: DriverOptions) -> Callable[[Any, DriverFactory], None]:
    def test(self: Any, driver_factory: DriverFactory) -> None:
        asyncio.run(_run(function, self, driver_factory, options))

    functools.update_wrapper(test, function)
    del test.__wrapped__  # type: ignore[attr-defined] # pytest would look through it and ask for a fixture `rig`
    return test


async def _run(function: Case, instance: Any, factory: DriverFactory, options: DriverOptions) -> None:
    # A factory of drivers that are a store only brings a rig of its own (`backends.StoreFactory`).
    rig: Rig = getattr(factory, "rig", Rig)(factory, options)
    try:
        await asyncio.wait_for(function(instance, rig), 20)
    finally:
        await rig.close()
