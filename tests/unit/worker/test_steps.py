"""The four steps against the memory driver, with another worker's outcome in the store."""

import asyncio

import msgspec
import pytest
from tests.unit.worker.rig import CLOCK, CODEC, EXECUTORS, SESSION, QuickClock, Rig

from leveret.brokers.memory import MemoryDriver
from leveret.links.memory.server import MemoryServer
from leveret.links.sql.database import Database
from leveret.links.sql.fleet.outbox import SqlOutbox
from leveret.model.delivery import Claim, Encoded, Posting, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.message import Embed, Header, Message, TaskId
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import CLAIM_SECONDS, Commitment, Joined, Record, Released, Seat, Stale
from leveret.model.signature import SignatureSpec
from leveret.testing.clock import SimClock
from leveret.worker.chores import Sweeper
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


class Later(QuickClock):
    """A minute after everybody else's."""

    def now(self) -> float:
        return super().now() + 60.0


@pytest.mark.parametrize("dies_at", ["store", "arrive", "publish", "nowhere"])
def test_what_follows_an_outcome_acknowledged_early_is_found_when_its_worker_died(tmp_path, dies_at):
    """At most once: the last member of a chord is run once, whatever dies; once its outcome is stored, its chord goes on."""
    rig, ran = Rig(fused=False), []
    rig.tasks.add(lambda: ran.append("member") or 7, "member", acks_late=False)
    rig.tasks.add(lambda values: ran.append(values), "body")
    database = Database(f"sqlite:///{tmp_path}/outbox.db", 5.0)
    outbox = SqlOutbox(database, CLOCK, inline=True)
    chord = Embed(chord=SignatureSpec(task="body", chord_size=1))

    class Dying:
        """The port of a process that dies before its verb; where it is said, with the verb done."""

        def __init__(self, port):
            self._port = port

        def __getattr__(self, name):
            return getattr(self._port, name) if name != dies_at else self._die

        async def _die(self, *facts):
            dead.set()
            await asyncio.Event().wait()

    async def first():
        worker = rig.worker(broker=Dying(rig.broker), backend=Dying(rig.backend), outbox=outbox)
        running = asyncio.ensure_future(worker.run())
        await rig.driver.broker().publish((CODEC.post(Message(**MEMBER, embed=chord)),))
        await (dead.wait() if dies_at != "nowhere" else rig.result("g-body"))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    dead = asyncio.Event()
    MEMBER = {"id": TaskId("m"), "task": "member", "group": "g", "group_index": 0}
    chord = Embed(chord=msgspec.structs.replace(chord.chord, options={"task_id": "g-body"}))
    asyncio.run(first())

    async def second(worker):
        swept = await Sweeper(SqlOutbox(database, Later(), inline=True), rig.broker, CLOCK).sweep()
        if dies_at in ("arrive", "publish"):
            assert (await rig.result("g-body")).error is None
        elif dies_at == "store":
            await rig.claimed(ready=0, claimed=0)
        return swept

    rig.executor = EXECUTORS["threads"](rig.runner.run, rig.runner.run_async, 1)
    swept = rig.run(second, session=msgspec.structs.replace(SESSION, id=SessionId("s2")))
    assert swept == (dies_at != "nowhere")
    assert ran == (["member"] if dies_at == "store" else ["member", [7]])
    database.close()
