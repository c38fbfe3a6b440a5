"""100 of the messages that are measured, read by real Celery: a fast message nobody else can read would be no message."""

import asyncio
import os

from tests.interop.celery_reader import CeleryReader

from bench import trial
from bench.systems import LEVERET
from leveret.brokers.sql.driver import SqlDriver
from leveret.model.delivery import Claim, Encoded, SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

TASK = "p_leveret.add"
KNOWN_TO_CELERY = "interop.echo"
"""Celery refuses a task it has not registered before it looks at the rest, so the name is exchanged, and only the name."""


def decoded_by_celery(count: int) -> int:
    """Enqueue `count`, half of them in bulk, and have Celery decode every one; answers how many it did."""
    with trial.bed(LEVERET) as it:
        it.run("send", str(count // 2), "one")
        it.run("send", str(count - count // 2), "bulk")
        messages = asyncio.run(_take(f"sqlite:///{it.folder}/leveret.db", count))
    with CeleryReader() as celery:
        read = [celery.read(_renamed(message)) for message in messages]
    assert len(read) == count, f"{len(read)} of {count} messages are there"
    arguments = sorted(one["args"] for one in read)
    expected = sorted(repr([number, []]) for half in (count // 2, count - count // 2) for number in range(half))
    assert arguments == expected, f"Celery read other arguments: {arguments[:3]}"
    print(f"{count} of {count} messages decoded by real Celery", flush=True)
    return len(read)


def _renamed(message: Encoded) -> Encoded:
    assert message.headers["task"] == TASK
    headers = {**message.headers, "task": KNOWN_TO_CELERY}
    return Encoded(headers, message.body, message.content_type, message.content_encoding, message.reply_to)


async def _take(url: str, count: int) -> list[Encoded]:
    driver = SqlDriver(Url(url), DriverOptions(), SystemClock())
    node = Node(name="reader", incarnation="1", boot="reader", pid=os.getpid())
    session = Session(id=SessionId("reader"), node=node.name, incarnation=node.incarnation, pid=node.pid)
    await driver.leases().register(node, (session,))
    claim = Claim(session=session.id, queues=("default",), credit=count + 1, number=1)
    deliveries = await driver.broker().claim(claim)
    await driver.leases().leave(node)
    await driver.broker().close()
    return [delivery.encoded for delivery in deliveries]
