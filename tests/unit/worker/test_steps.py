"""The four steps against the memory driver, with another worker's outcome in the store."""

import asyncio

from leveret.brokers.memory import MemoryDriver
from leveret.links.memory.server import MemoryServer
from leveret.model.delivery import Claim, Encoded, Posting, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.message import Header, TaskId
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import CLAIM_SECONDS, Commitment, Joined, Record, Released, Seat, Stale
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


class Closed:
    """A store that knows nothing of failed seats, and says what it is told."""

    def __init__(self):
        self.told, self.stored = [], []

    async def store(self, records):
        self.stored += records
        return (True,) * len(records)

    async def arrive(self, seats):
        self.told += seats
        return tuple(Joined(join=seat.join, complete=seat.index == 1, values=(b"0", b"1")) for seat in seats)


def test_what_seats_release_is_published_before_the_delivery_is_settled():
    """And a store that cannot close joins is not told of failed seats: it would count them."""

    async def main():
        clock = SimClock()
        server = MemoryServer(DriverOptions(), clock)
        driver = MemoryDriver(Url("memory://"), DriverOptions(), clock, server)
        broker, backend = driver.broker(), Closed()
        node = Node(name="w1", incarnation="1", boot="b", pid=1)
        await driver.leases().register(node, (Session(id=SessionId("s"), node="w1", incarnation="1", pid=1),))
        await broker.publish((posting("a"), posting("b"), posting("c")))
        claimed = await broker.claim(Claim(session=SessionId("s"), queues=("q",), credit=3, number=0))
        outer = Seat(
            join="o", index=0, size=1, value=b"", failed=True, release=lambda joined: Released(records=(lost,))
        )
        lost = success(b"")
        seats = (
            Seat(join="j", index=0, size=2, value=b"0", release=lambda joined: Released()),
            Seat(join="j", index=1, size=2, value=b"1", release=lambda joined: Released(follow=(posting("body"),))),
            Seat(join="k", index=1, size=2, value=b"", failed=True, release=lambda joined: Released(seats=(outer,))),
        )
        await FourSteps(broker, backend, Persistent(clock)).commit(
            tuple(
                Commitment(receipt=delivery.receipt, verdict=Verdict.ACK, seat=seat)
                for delivery, seat in zip(claimed, seats, strict=True)
            )
        )

        (body,) = await broker.claim(Claim(session=SessionId("s"), queues=("q",), credit=9, number=1))
        assert [seat.join for seat in backend.told] == ["j", "j"]
        assert backend.stored == [lost]
        assert body.encoded.headers["id"] == "body"

    asyncio.run(main())


class Shared(Closed):
    """A store in whose joins Celery's workers sit too; one of them has claimed "theirs"."""

    closes_joins = shares_joins = True

    async def opened(self, joins):
        self.told += joins

    async def fired(self, joins):
        self.told += joins

    async def arrive(self, seats):
        return tuple(Joined(join=seat.join, complete=seat.join == "j", claimed=seat.join == "theirs") for seat in seats)


def test_a_shared_store_hears_when_a_join_begins_and_ends_and_a_claimed_one_is_waited_for():
    async def main():
        clock = SimClock()
        driver = MemoryDriver(Url("memory://"), DriverOptions(), clock, MemoryServer(DriverOptions(), clock))
        broker, backend = driver.broker(), Shared()
        node = Node(name="w1", incarnation="1", boot="b", pid=1)
        await driver.leases().register(node, (Session(id=SessionId("s"), node="w1", incarnation="1", pid=1),))
        await broker.publish((posting("a"), posting("b")))
        claimed = await broker.claim(Claim(session=SessionId("s"), queues=("q",), credit=2, number=0))
        body = Released(follow=(posting("body", begins=(Header("next", 2),)),))
        seats = (
            Seat(join="j", index=0, size=1, value=b"0", release=lambda joined: body),
            Seat(join="theirs", index=0, size=1, value=b"0", release=lambda joined: Released()),
        )

        await FourSteps(broker, backend, Persistent(clock)).commit(
            tuple(
                Commitment(receipt=delivery.receipt, verdict=Verdict.ACK, seat=seat)
                for delivery, seat in zip(claimed, seats, strict=True)
            )
        )

        assert backend.told == [Header("next", 2), "j"]
        clock.advance(CLAIM_SECONDS + 1)
        await driver.chores().upkeep()
        again = await broker.claim(Claim(session=SessionId("s"), queues=("q",), credit=9, number=1))
        assert {(one.encoded.headers["id"], one.count) for one in again} == {("body", 1), ("b", 2)}

    asyncio.run(main())
