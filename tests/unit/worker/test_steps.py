"""The four steps against the memory driver, with another worker's outcome in the store."""

import asyncio

from leveret.brokers.memory import MemoryDriver
from leveret.links.memory.server import MemoryServer
from leveret.model.delivery import Claim, Encoded, Posting, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.message import TaskId
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Record, Stale
from leveret.testing.clock import SimClock
from leveret.worker.persist import Persistent
from leveret.worker.steps import FourSteps


def posting(id, **options):
    return Posting(id=id, queue="q", encoded=Encoded(headers={"id": id}, body=b""), **options)


def success(meta):
    return Record(id=TaskId("a"), attempt=0, state="SUCCESS", terminal=True, meta=meta)


def test_the_delivery_of_a_refused_outcome_is_handed_over_again():
    """Another worker stored its outcome and may have died before it published what follows: `admit` must replay it."""

    async def main():
        clock = SimClock()
        driver = MemoryDriver(Url("memory://"), DriverOptions(), clock, MemoryServer(DriverOptions(), clock))
        broker, backend = driver.broker(), driver.backend()
        node = Node(name="w1", incarnation="1", boot="b", pid=1)
        await driver.leases().register(node, (Session(id=SessionId("s"), node="w1", incarnation="1", pid=1),))
        await broker.publish((posting("a"),))
        (first,) = await broker.claim(Claim(session=SessionId("s"), queues=("q",), credit=1, number=0))
        await backend.store((success(b"theirs"),))

        ours = Commitment(
            receipt=first.receipt,
            verdict=Verdict.ACK,
            record=success(b"ours"),
            follow=(posting("next", once=True),),
        )
        (answer,) = await FourSteps(broker, backend, Persistent(clock)).commit((ours,))

        again = await broker.claim(Claim(session=SessionId("s"), queues=("q",), credit=9, number=1))
        assert isinstance(answer, Stale)
        assert [(delivery.encoded.headers["id"], delivery.count) for delivery in again] == [("a", 2)]
        assert (await backend.get(["a"]))[0].meta == b"theirs"

    asyncio.run(main())
