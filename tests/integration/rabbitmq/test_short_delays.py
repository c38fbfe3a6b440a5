"""Delays below one second: on a ladder of their own, never early, and not late by the second that they are not."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from statistics import median

import pytest
from amqp.exceptions import NotFound
from kombu import Connection
from tests.servers.rabbit.remote import Vhost

from leveret.brokers.amqp.driver import AmqpDriver
from leveret.links.amqp import names
from leveret.model.delivery import Claim, Delivery, Posting, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment
from leveret.testing.conformance.values import encoded
from leveret.wiring.clock import SystemClock

LATE = 0.3
"""Seconds on top, of most of them: a machine may be busy once."""
DELAYS = (0.01, 0.03, 0.1, 0.25, 0.5, 0.7, 0.95)


@pytest.fixture
def driver(rabbit_vhost: Vhost) -> Iterator[AmqpDriver]:
    yield AmqpDriver(Url(rabbit_vhost.url), DriverOptions(), SystemClock())


def test_what_is_sent_for_later_comes_then(driver: AmqpDriver) -> None:
    async def run() -> dict[str, float]:
        broker = driver.broker()
        # Queue and ladder are made, and the queue is consumed, before time counts.
        await broker.publish((Posting(id="m", queue="q", encoded=encoded("m"), not_before=time.time() + 0.1),))
        async for delivery in _deliveries(driver, 1):
            await broker.settle((Commitment(receipt=delivery.receipt, verdict=Verdict.ACK),))
        now = time.time()
        sent = {f"m{delay}": now + delay for delay in DELAYS}
        await broker.publish(
            tuple(Posting(id=name, queue="q", encoded=encoded(name), not_before=due) for name, due in sent.items())
        )
        return await _late(driver, sent)

    late = asyncio.run(run())

    judge(late)


def test_what_is_released_for_later_comes_then(driver: AmqpDriver) -> None:
    async def run() -> dict[str, float]:
        broker = driver.broker()
        await broker.publish(
            tuple(Posting(id=f"m{delay}", queue="q", encoded=encoded(f"m{delay}")) for delay in DELAYS)
        )
        due: dict[str, float] = {}
        async for delivery in _deliveries(driver, len(DELAYS)):
            name = delivery.encoded.headers["id"]
            delay = float(name[1:])
            due[name] = time.time() + delay
            await broker.settle((Commitment(receipt=delivery.receipt, verdict=Verdict.RELEASE, delay=delay),))
        return await _late(driver, due)

    late = asyncio.run(run())

    judge(late)


def judge(late: dict[str, float]) -> None:
    assert len(late) == len(DELAYS) and min(late.values()) >= 0 and median(late.values()) < LATE, late


def test_the_short_ladder_is_made_when_it_is_needed(driver: AmqpDriver, rabbit_vhost: Vhost) -> None:
    async def publish(name: str, delay: float) -> None:
        posting = Posting(id=name, queue="q", encoded=encoded(name), not_before=time.time() + delay if delay else None)
        await driver.broker().publish((posting,))

    rungs = [names.short_level(number) for number in range(names.SHORT_BITS)]

    async def run() -> tuple[list[bool], list[bool]]:
        await publish("at once", 0)
        await publish("in two seconds", 2)
        before = [_is_there(rabbit_vhost, rung) for rung in rungs]
        await publish("soon", 0.4)
        after = [_is_there(rabbit_vhost, rung) for rung in rungs]
        await driver.broker().close()
        return before, after

    before, after = asyncio.run(run())

    assert not any(before) and all(after)


def _is_there(vhost: Vhost, queue: str) -> bool:
    with Connection(vhost.url) as connection:
        try:
            connection.channel().queue_declare(queue, passive=True)
        except NotFound:
            return False
        return True


async def _late(driver: AmqpDriver, due: dict[str, float]) -> dict[str, float]:
    """By how much each came late."""
    late: dict[str, float] = {}
    async for delivery in _deliveries(driver, len(due)):
        name = delivery.encoded.headers["id"]
        late[name] = time.time() - due[name]
        await driver.broker().settle((Commitment(receipt=delivery.receipt, verdict=Verdict.ACK),))
    await driver.broker().close()
    return late


NUMBERS = iter(range(1, 1_000_000))


async def _deliveries(driver: AmqpDriver, many: int) -> AsyncIterator[Delivery]:
    session = SessionId("s1")
    node = Node(name="n", incarnation="n-1", boot="b", pid=1, queues=("q",), slots=10)
    await driver.leases().register(node, (Session(id=session, node="n", incarnation="n-1", pid=1, quarantine=False),))
    came = 0
    end = time.monotonic() + 10
    while came < many and time.monotonic() < end:
        claim = Claim(session=session, queues=("q",), credit=20, number=next(NUMBERS))
        for delivery in await driver.broker().claim(claim):
            came += 1
            yield delivery
        await driver.broker().bell(("q",), 0.02)
