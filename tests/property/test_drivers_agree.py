"""SQLite does what the reference does: the same steps on both drivers give the same answers."""

import asyncio
import tempfile
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leveret.brokers.memory import MemoryDriver
from leveret.brokers.sql.driver import SqlDriver
from leveret.errors import LeaseLost
from leveret.links.memory.server import MemoryServer
from leveret.model.delivery import Charge, Claim, Encoded, Posting, Return, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.message import TaskId
from leveret.model.node import Node, Reaping, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Record, Seat
from leveret.testing.clock import SimClock

OPTIONS = DriverOptions(poll_seconds=0.01)
IDS, QUEUES, SESSIONS = ("a", "b", "c", "d"), ("q", "p"), ("s0", "s1", "jail")
COMPUTED = ("a", "b")
"""Whoever sends these asks the door, always: an id is either computed or fresh."""
STATES = (("SUCCESS", True), ("FAILURE", True), ("RETRY", False), ("STARTED", False))

index = st.integers(0, 5)
posting = st.builds(
    Posting,
    id=st.sampled_from(IDS),
    queue=st.sampled_from(QUEUES),
    encoded=st.just(Encoded(headers={"task": "t"}, body=b"[]")),
    attempt=st.integers(0, 2),
    priority=st.sampled_from((0, 0, 3, 9, 10, 255)),
    not_before=st.sampled_from((None, None, 1_700_000_004.0)),
).map(lambda posting: msgspec.structs.replace(posting, once=posting.id in COMPUTED))
record = st.builds(
    lambda id, attempt, state, tombstone: Record(
        id=TaskId(id), attempt=attempt, state=state[0], terminal=state[1], tombstone=tombstone
    ),
    st.sampled_from(IDS),
    st.integers(0, 2),
    st.sampled_from(STATES),
    st.booleans(),
)
seat = st.builds(Seat, join=st.just("j"), index=st.integers(0, 1), size=st.just(2), value=st.sampled_from((b"x", b"y")))
verdict = st.sampled_from(tuple(Verdict))
delay = st.sampled_from((0.0, 0.0, 2.0))
step = st.one_of(
    st.tuples(st.just("publish"), posting),
    st.tuples(st.just("publish"), posting),
    st.tuples(st.just("claim"), st.sampled_from(SESSIONS), st.integers(1, 3)),
    st.tuples(st.just("claim"), st.sampled_from(SESSIONS), st.integers(1, 3)),
    st.tuples(st.just("claim_again"), st.sampled_from(SESSIONS), st.integers(1, 3)),
    st.tuples(st.just("settle"), index, verdict, delay, st.booleans()),
    st.tuples(
        st.just("commit"), index, verdict, st.none() | record, st.none() | seat, st.lists(posting, max_size=2), delay
    ),
    st.tuples(st.just("give_back"), index, delay, st.booleans()),
    st.tuples(st.just("reap"), st.sampled_from(SESSIONS), st.lists(index, max_size=2), st.booleans()),
    st.tuples(st.just("reconcile"), st.sampled_from(SESSIONS), st.lists(index, max_size=3)),
    st.tuples(st.just("release"), st.sampled_from(SESSIONS), st.lists(index, max_size=3)),
    st.tuples(st.just("wait"), st.sampled_from((0.5, 2.0, 5.0, 30.0)), st.booleans()),
    st.tuples(st.just("store"), record),
    st.tuples(st.just("arrive"), seat),
    st.tuples(st.just("redrive"), st.sampled_from(IDS)),
    st.tuples(st.just("bury"), st.sampled_from(IDS)),
    st.tuples(st.just("purge"), st.sampled_from(QUEUES)),
    st.tuples(st.just("forget"), st.sampled_from(IDS)),
    st.tuples(st.just("look")),
)


class Side:
    """One driver, and what it has handed over so far, in order."""

    def __init__(self, driver, clock):
        self.clock = clock
        self.broker, self.leases, self.chores = driver.broker(), driver.leases(), driver.chores()
        self.admin, self.backend, self.committer = driver.admin(), driver.backend(), driver.commit()
        self.given = []
        self.answered = {}
        self.numbers = dict.fromkeys(SESSIONS, 0)
        self.node = Node(name="w1", incarnation="1", boot="b", pid=1, queues=QUEUES)

    async def register(self, name):
        session = Session(id=SessionId(name), node="w1", incarnation="1", pid=1, quarantine=name == "jail")
        await self.leases.register(self.node, (session,))

    def receipt(self, place):
        return self.given[-1 - place].receipt if place < len(self.given) else "never given"

    def told(self, deliveries):
        return [
            (d.queue, d.count, [(c.reason, c.at, c.session) for c in d.charges], d.suspect, d.encoded)
            for d in deliveries
        ]

    async def claim(self, session, credit):
        self.numbers[session] += 1
        self.answered[session] = await self.ask(session, credit)
        return self.answered[session]

    async def claim_again(self, session, credit):
        # An empty answer may be replayed or asked anew: nothing was handed over.
        return await self.ask(session, credit) if self.answered.get(session) else []

    async def ask(self, session, credit):
        claim = Claim(
            session=session, queues=QUEUES, credit=credit, number=self.numbers[session], suspects=session == "jail"
        )
        try:
            deliveries = await self.broker.claim(claim)
        except LeaseLost:
            await self.register(session)
            return "lease lost"
        known = {d.receipt for d in self.given}
        self.given += [d for d in deliveries if d.receipt not in known]
        return self.told(deliveries)

    async def settle(self, place, verdict, delay, counted):
        commitment = Commitment(receipt=self.receipt(place), verdict=verdict, delay=delay, counted=counted, reason="r")
        return [type(answer) for answer in await self.broker.settle((commitment,))]

    async def commit(self, place, verdict, record, seat, follow, delay):
        commitment = Commitment(
            receipt=self.receipt(place),
            verdict=verdict,
            record=record,
            seat=seat,
            follow=tuple(follow),
            delay=delay,
            reason="r",
        )
        (answer,) = await self.committer.commit((commitment,))
        return type(answer), getattr(answer, "joined", None)

    async def give_back(self, place, delay, counted):
        await self.broker.give_back((Return(receipt=self.receipt(place), delay=delay, counted=counted),))

    async def reap(self, session, places, suspect_others):
        charge = Charge(reason="signal 9", at=self.clock.now(), session=session)
        charged = tuple((receipt, charge) for receipt in dict.fromkeys(map(self.receipt, places)))
        reaping = Reaping(session=session, charged=charged, suspect_others=suspect_others)
        return await self.leases.reap((reaping,))

    async def reconcile(self, session, places):
        try:
            return sorted(map(str, self.told(await self.leases.reconcile(session, tuple(map(self.receipt, places))))))
        except LeaseLost:
            return "lease lost"

    async def release(self, session, places):
        return await self.leases.release(session, tuple(map(self.receipt, places)))

    async def wait(self, seconds, upkeep):
        if upkeep:
            while await self.chores.upkeep() <= 0:
                pass
        pulse = await self.leases.beat(self.node)
        return pulse.suspects, pulse.reaped, pulse.revived

    async def publish(self, posting):
        await self.broker.publish((posting,))

    async def store(self, record):
        return await self.backend.store((record,))

    async def arrive(self, seat):
        return await self.backend.arrive((seat,))

    async def redrive(self, id):
        return await self.admin.redrive((id,))

    async def bury(self, id):
        return await self.admin.bury((id,))

    async def purge(self, queue):
        return await self.admin.purge((queue,))

    async def forget(self, id):
        await self.backend.forget([id])

    async def look(self):
        while await self.chores.upkeep() <= 0:
            pass
        counts = await self.admin.counts(QUEUES)
        dead = [(letter.id, letter.reason, len(letter.charges)) for letter in await self.admin.dead()]
        stored = [r and (r.attempt, r.state, r.terminal, r.tombstone) for r in await self.backend.get(IDS)]
        return sorted(counts, key=lambda c: c.queue), sorted(dead), stored


async def play(steps, folder):
    clock = SimClock()
    server = MemoryServer(OPTIONS, clock)
    sides = [
        Side(MemoryDriver(Url("memory://agree"), OPTIONS, clock, server), clock),
        Side(SqlDriver(Url(f"sqlite:///{folder}/queue.db"), OPTIONS, clock), clock),
    ]
    try:
        for side in sides:
            for session in SESSIONS:
                await side.register(session)
        for number, (verb, *arguments) in enumerate([*steps, ("look",)]):
            if verb == "wait":
                clock.advance(arguments[0])
            answers = [await getattr(side, verb)(*arguments) for side in sides]
            for reference, other in pairwise(answers):
                assert other == reference, f"step {number}: {verb}{tuple(arguments)}"
            clock.advance(0.001)
    finally:
        for side in sides:
            await side.broker.close()
            await side.backend.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(step, min_size=5, max_size=40))
@pytest.mark.timeout(120)
def test_sqlite_answers_as_the_reference_does(steps):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(steps, folder))
