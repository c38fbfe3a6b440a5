"""What the tests of the SQLite driver share: drivers on a real file, short ways to send and to work."""

import asyncio
import os
import time

from leveret.brokers.sql.driver import SqlDriver
from leveret.model.delivery import Claim, Delivery, Encoded, Posting, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.message import TaskId
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Record
from leveret.wiring.clock import SystemClock

QUEUE = "default"


class ShiftedClock(SystemClock):
    """The real clock, put forward by hand."""

    shift = 0.0

    def now(self) -> float:
        return time.time() + self.shift


def open_driver(folder, clock=None, **options) -> SqlDriver:
    return SqlDriver(Url(f"sqlite:///{folder}/queue.db"), DriverOptions(**options), clock or SystemClock())


def posting(name: str, **options) -> Posting:
    encoded = Encoded(headers={"id": name, "task": "tasks.add"}, body=b"[[], {}, {}]")
    return Posting(id=name, queue=options.pop("queue", QUEUE), encoded=encoded, **options)


def send(driver: SqlDriver, *names: str) -> None:
    driver.blocking().publish(tuple(map(posting, names)), timeout=10)


def node(name: str, *, incarnation: str = "1", pid: int | None = None) -> Node:
    return Node(name=name, incarnation=incarnation, boot="boot", pid=pid or os.getpid(), queues=(QUEUE,))


def session(name: str, of: Node, *, pid: int | None = None, quarantine: bool = False) -> Session:
    return Session(
        id=SessionId(name), node=of.name, incarnation=of.incarnation, pid=pid or os.getpid(), quarantine=quarantine
    )


def claim(name: str, number: int, credit: int = 10, **options) -> Claim:
    return Claim(session=SessionId(name), queues=(QUEUE,), credit=credit, number=number, **options)


def task_id(delivery: Delivery) -> str:
    return delivery.encoded.headers["id"]


def success(delivery: Delivery, **options) -> Commitment:
    record = Record(id=TaskId(task_id(delivery)), attempt=0, state="SUCCESS", meta=b"{}", terminal=True, **options)
    return Commitment(receipt=delivery.receipt, verdict=Verdict.ACK, record=record)


async def work(driver: SqlDriver, name: str, *, batches: int | None = None, credit: int = 20) -> int:
    """Register, then claim and commit until nothing comes."""
    member = node(name)
    await driver.leases().register(member, (session(name, member),))
    broker, number, done = driver.broker(), 0, 0
    while batches is None or number < batches:
        number += 1
        deliveries = await broker.claim(claim(name, number, credit))
        if not deliveries:
            break
        await broker.commit(tuple(success(delivery, expires_after=3600.0) for delivery in deliveries))
        done += len(deliveries)
    return done


def counts(driver: SqlDriver) -> tuple[int, int, int, int]:
    rows = asyncio.run(driver.admin().counts((QUEUE,)))
    return rows[0].ready, rows[0].delayed, rows[0].claimed, rows[0].dead


async def until(condition) -> None:
    """Look until it is so, for 5 s."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)
