"""100 of the messages that are measured, read by real Celery: a fast message nobody else can read would be no message."""

import asyncio
import json
import os
import subprocess

from tests.interop.celery_reader import CeleryReader

from bench import trial
from bench.media import DATA
from bench.raw.load import Load
from bench.systems import BENCH, CELERY, LEVERET
from leveret.brokers.sql.driver import SqlDriver
from leveret.model.delivery import Claim, Encoded, SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

TASK = "p_leveret.add"
QUEUE = "default"
KNOWN_TO_CELERY = "interop.echo"
"""Celery refuses a task it has not registered before it looks at the rest, so the name is exchanged, and only the name."""


def decoded_by_celery(count: int) -> int:
    """Enqueue `count`, half of them in bulk, and have Celery decode every one; answers how many it did."""
    with trial.bed(LEVERET) as it:
        it.run("send", str(count // 2), "one")
        it.run("send", str(count - count // 2), "bulk")
        messages = asyncio.run(claimed(f"sqlite:///{it.folder}/leveret.db", count))
    with CeleryReader() as celery:
        read = [celery.read(_renamed(message)) for message in messages]
    assert len(read) == count, f"{len(read)} of {count} messages are there"
    arguments = sorted(one["args"] for one in read)
    expected = sorted(repr([number, []]) for half in (count // 2, count - count // 2) for number in range(half))
    assert arguments == expected, f"Celery read other arguments: {arguments[:3]}"
    print(f"{count} of {count} messages decoded by real Celery", flush=True)
    return len(read)


def read_by_celery(limit: Load, count: int) -> int:
    """The same on RabbitMQ: our messages in a queue, and Celery's own client takes them out."""
    with limit.servers.place(DATA) as place:
        limit.fill(place["BENCH_BROKER_URL"], QUEUE, count)
        environment = {**os.environ, **place, "BENCH_QUEUE": QUEUE}
        reader = (str(CELERY.python), str(BENCH / "peers" / "read_by_celery.py"), str(count))
        done = subprocess.run(reader, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise AssertionError(f"Celery read other messages:\n{done.stderr[-2000:]}")
    arguments = json.loads(done.stdout)
    assert all(payload == [] for _, payload in arguments), f"Celery read other arguments: {arguments[:3]}"
    read = len({number for number, _ in arguments})
    print(f"{read} of {count} messages decoded by real Celery", flush=True)
    return read


def _renamed(message: Encoded) -> Encoded:
    assert message.headers["task"] == TASK
    headers = {**message.headers, "task": KNOWN_TO_CELERY}
    return Encoded(headers, message.body, message.content_type, message.content_encoding, message.reply_to)


async def claimed(url: str, count: int) -> list[Encoded]:
    """All that waits in a file of at least `count` messages."""
    driver = SqlDriver(Url(url), DriverOptions(), SystemClock())
    node = Node(name="reader", incarnation="1", boot="reader", pid=os.getpid())
    session = Session(id=SessionId("reader"), node=node.name, incarnation=node.incarnation, pid=node.pid)
    await driver.leases().register(node, (session,))
    claim = Claim(session=session.id, queues=("default",), credit=count + 1, number=1)
    deliveries = await driver.broker().claim(claim)
    await driver.leases().leave(node)
    await driver.broker().close()
    return [delivery.encoded for delivery in deliveries]
