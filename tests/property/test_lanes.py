"""Whatever is sent and claimed in whichever order, lanes are served as they should be, and nothing of them is left."""

import asyncio
import itertools
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.fixtures import shared_redis  # noqa: F401 - a fixture
from tests.servers.redis import RedisServer

from leveret.brokers.memory import MemoryDriver
from leveret.brokers.redis.driver import RedisDriver
from leveret.brokers.sql.driver import SqlDriver
from leveret.links.memory.server import MemoryServer
from leveret.model.delivery import Claim, Delivery, Encoded, Posting, Return, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment
from leveret.testing.clock import SimClock

LANES = ("", "a", "b", "c")
NUMBERS = itertools.count()
Make = Callable[[], object]
send = st.tuples(st.just("send"), st.sampled_from(LANES), st.integers(1, 6))
claim = st.tuples(st.just("claim"), st.just(""), st.integers(1, 7))
back = st.tuples(st.just("back"), st.just(""), st.integers(1, 3))
Step = tuple[str, str, int]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def kind(request: pytest.FixtureRequest) -> Callable[[], object]:
    """Opens a fresh broker of that kind."""
    if request.param == "memory":
        return lambda: _memory()
    if request.param == "sqlite":
        return lambda: _sqlite()
    server: RedisServer = request.getfixturevalue("shared_redis")
    return lambda: _redis(server.url)


@contextmanager
def _memory() -> Iterator[MemoryDriver]:
    clock = SimClock()
    yield MemoryDriver(Url("memory://lanes"), DriverOptions(), clock, MemoryServer(DriverOptions(), clock))


@contextmanager
def _sqlite() -> Iterator[SqlDriver]:
    with tempfile.TemporaryDirectory() as folder:
        yield SqlDriver(Url(f"sqlite:///{folder}/queue.db"), DriverOptions(), SimClock())


@contextmanager
def _redis(url: str) -> Iterator[RedisDriver]:
    options = DriverOptions(transport={"global_keyprefix": f"lanes{next(NUMBERS)}:"})
    yield RedisDriver(Url(url), options, SimClock())


EXAMPLES = settings(max_examples=60, suppress_health_check=list(HealthCheck))


class Desk:
    """One session at a broker, and what should be waiting there."""

    def __init__(self, driver) -> None:
        self.broker, self.leases, self.admin = driver.broker(), driver.leases(), driver.admin()
        self.waiting: dict[str, deque[str]] = defaultdict(deque)
        self.held: list[Delivery] = []
        self._number, self._sent = 0, 0

    async def open(self) -> None:
        node = Node(name="w", incarnation="w-1", boot="b", pid=1, queues=("q",))
        session = Session(id=SessionId("s"), node="w", incarnation="w-1", pid=1, quarantine=False)
        await self.leases.register(node, (session,))

    async def send(self, lane: str, count: int) -> None:
        names = [f"{lane or 'none'}-{self._sent + number}" for number in range(count)]
        self._sent += count
        encoded = [Encoded({"task": "t", "id": name}, b"[]") for name in names]
        made = [Posting(id=n, queue="q", encoded=e, lane=lane) for n, e in zip(names, encoded, strict=True)]
        await self.broker.publish(tuple(made))
        self.waiting[lane].extend(names)

    async def claim(self, credit: int) -> list[tuple[str, str]]:
        """Answer (lane, name) of each."""
        self._number += 1
        request = Claim(session=SessionId("s"), queues=("q",), credit=credit, number=self._number)
        deliveries = await self.broker.claim(request)
        assert len(deliveries) == min(credit, sum(map(len, self.waiting.values())))
        self.held += deliveries
        return [self._taken(delivery) for delivery in deliveries]

    def _taken(self, delivery: Delivery) -> tuple[str, str]:
        name = delivery.encoded.headers["id"]
        lane = name.partition("-")[0].replace("none", "")
        self.waiting[lane].remove(name)
        return lane, name

    async def give_back(self, count: int) -> None:
        gone, self.held = self.held[-count:], self.held[:-count]
        await self.broker.give_back(tuple(Return(receipt=one.receipt) for one in gone))
        for one in gone:
            name = one.encoded.headers["id"]
            self.waiting[name.partition("-")[0].replace("none", "")].appendleft(name)

    async def drain(self) -> None:
        while sum(map(len, self.waiting.values())):
            await self.claim(5)
        assert await self.claim(5) == []
        await self.broker.settle(tuple(Commitment(receipt=one.receipt, verdict=Verdict.ACK) for one in self.held))

    async def ready(self) -> int:
        return (await self.admin.counts(("q",)))[0].ready


class Rivals:
    """How often each of two lanes was served while both had something waiting."""

    def __init__(self) -> None:
        self._led: dict[tuple[str, str], list[int]] = {}

    def served(self, lane: str, waiting: dict[str, deque[str]]) -> None:
        for other in LANES:
            if other != lane and waiting[other]:
                for pair, lead in (((lane, other), 1), ((other, lane), -1)):
                    leads = self._led.setdefault(pair, [0])
                    leads.append(leads[-1] + lead)
                    assert max(leads) - min(leads) <= 2, f"{pair}: {leads}"
            elif other != lane:
                self.ended(other)
        if not waiting[lane]:
            self.ended(lane)

    def ended(self, lane: str) -> None:
        self._led = {pair: leads for pair, leads in self._led.items() if lane not in pair}


@EXAMPLES
@given(steps=st.lists(st.one_of(send, send, claim), min_size=3, max_size=30))
def test_lanes_with_work_are_served_alike_and_each_in_order(kind: Make, steps: list[Step]) -> None:
    async def play(driver) -> None:
        desk, rivals = Desk(driver), Rivals()
        await desk.open()
        for verb, lane, count in [*steps, *[("claim", "", 4)] * 10]:
            if verb == "send":
                await desk.send(lane, count)
                continue
            before = {lane: deque(names) for lane, names in desk.waiting.items()}
            left = defaultdict(deque, before)
            for lane, name in await desk.claim(count):
                assert left[lane].popleft() == name
                rivals.served(lane, left)
        await desk.broker.close()

    with kind() as driver:
        asyncio.run(play(driver))


@EXAMPLES
@given(steps=st.lists(st.one_of(send, claim, claim, back), min_size=3, max_size=30))
def test_nothing_is_lost_or_left_over_whatever_goes_back(kind: Make, steps: list[Step]) -> None:
    async def play(driver) -> None:
        desk = Desk(driver)
        await desk.open()
        for verb, lane, count in steps:
            if verb == "send":
                await desk.send(lane, count)
            elif verb == "claim":
                await desk.claim(count)
            elif desk.held:
                await desk.give_back(count)
            assert await desk.ready() == sum(map(len, desk.waiting.values()))
        await desk.drain()
        assert await desk.ready() == 0
        await desk.broker.close()

    with kind() as driver:
        asyncio.run(play(driver))
