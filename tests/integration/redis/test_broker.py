"""What is special about Redis as a broker: bells, places, resends, the server's clock, and how little an idle one asks."""

import asyncio
import functools
import time

import pytest
from msgspec.structs import replace
from tests.integration.redis.server import Server

from leveret.brokers.redis.driver import RedisDriver
from leveret.errors import ImproperlyConfigured, LeaseLost, PublishFailed
from leveret.model.delivery import Claim, Encoded, Posting, Return, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.message import TaskId
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Record, Stale
from leveret.wiring.clock import SystemClock


def on_a_loop(test):
    @functools.wraps(test)
    def run(server):
        asyncio.run(test(server))

    del run.__wrapped__
    return run


class Process:
    """One worker process: its driver, its session, and the number of its claim."""

    def __init__(self, server: Server, name: str, node: str = "w", **options) -> None:
        self.driver = RedisDriver(Url(server.url), DriverOptions(**options), SystemClock())
        self.broker, self.leases = self.driver.broker(), self.driver.leases()
        self.name, self.number = SessionId(name), 0
        self.node = Node(name=node, incarnation=f"{node}-1", boot="b", pid=4_000_000, queues=("q",))

    async def open(self) -> "Process":
        session = Session(id=self.name, node=self.node.name, incarnation=self.node.incarnation, pid=4_000_001)
        await self.leases.register(self.node, (session,))
        return self

    async def claim(self, credit: int = 10):
        self.number += 1
        return await self.broker.claim(Claim(session=self.name, queues=("q",), credit=credit, number=self.number))

    async def ids(self, credit: int = 10):
        return [one.encoded.headers["id"] for one in await self.claim(credit)]

    async def woken(self, timeout: float = 3.0) -> float:
        """Lie down as a worker does, bell after bell, until work has come; answers the seconds that took."""
        began = time.monotonic()
        while time.monotonic() - began < timeout:
            if await self.claim():
                break
            await self.broker.bell(("q",), 1.0)
        return time.monotonic() - began


def posting(id: str, **facts) -> Posting:
    return Posting(id=id, queue="q", encoded=Encoded({"task": "t", "id": id}, b"[[],{},{}]"), **facts)


@on_a_loop
async def test_what_comes_back_is_first_again_and_in_its_order(server):
    one = await Process(server, "s").open()
    await one.broker.publish(tuple(posting(f"{n}") for n in range(6)))
    taken = await one.claim(4)

    await one.broker.give_back(tuple(Return(receipt=delivery.receipt) for delivery in reversed(taken)))

    assert await one.ids() == ["0", "1", "2", "3", "4", "5"]


@on_a_loop
async def test_a_receipt_from_before_a_failover_settles_nothing_of_after(server):
    one = await Process(server, "s").open()
    await one.broker.publish((posting("a"),))
    (lost,) = await one.claim()
    # What a new master knows that had not heard of that claim: neither who holds it, nor that it was counted.
    server.cli("DEL", "leveret:held:s")
    server.cli("SET", "leveret:seq", 0)
    await one.broker.publish((posting("b"),))
    (other,) = await one.claim()

    (answer,) = await one.broker.settle((Commitment(receipt=lost.receipt, verdict=Verdict.ACK),))

    assert isinstance(answer, Stale)
    (answer,) = await one.broker.settle((Commitment(receipt=other.receipt, verdict=Verdict.ACK),))
    assert isinstance(answer, Committed)


def outcome(id: str, value: int) -> Record:
    """A first attempt's success, whose document says all of it."""
    meta = b'{"status":"SUCCESS","result":%d,"task_id":"%s"}' % (value, id.encode())
    return Record(id=TaskId(id), attempt=0, state="SUCCESS", meta=meta, terminal=True, expires_after=60.0)


@on_a_loop
async def test_a_batch_of_plain_outcomes_is_fenced_one_by_one(server):
    one = await Process(server, "s").open()
    # A copy beside its first, one that had ended before, and one that is not held any more.
    await one.broker.publish(tuple(posting(id) for id in ("a", "b", "ended", "gone", "c")))
    await one.broker.publish((posting("a", priority=1),))
    server.cli("SET", "celery-task-meta-ended", '{"status":"SUCCESS","result":0,"task_id":"ended"}')
    taken = sorted(await one.claim(), key=lambda delivery: delivery.encoded.headers["id"])
    gone = next(delivery for delivery in taken if delivery.encoded.headers["id"] == "gone")
    await one.broker.give_back((Return(receipt=gone.receipt),))

    batch = tuple(
        Commitment(
            receipt=delivery.receipt, verdict=Verdict.ACK, record=outcome(delivery.encoded.headers["id"], number)
        )
        for number, delivery in enumerate(taken, 1)
    )
    answers = await one.broker.commit(batch)

    assert [type(answer) for answer in answers] == [Committed, Stale, Committed, Committed, Stale, Stale]
    stored = server.cli("MGET", *(f"celery-task-meta-{id}" for id in ("a", "b", "c", "ended", "gone")))
    assert [f'"result":{number}' in stored for number in (1, 2, 3, 4, 0)] == [True, False, True, True, True]


@on_a_loop
async def test_queues_take_turns(server):
    one = await Process(server, "s").open()
    many = tuple(posting(f"a{n}") for n in range(9))
    await one.broker.publish((*many, *(replace(posting(f"b{n}"), queue="other") for n in range(9))))

    firsts = set()
    for number in range(2):
        claim = Claim(session=one.name, queues=("q", "other"), credit=3, number=number)
        firsts.add((await one.broker.claim(claim))[0].queue)

    assert firsts == {"q", "other"}


@on_a_loop
async def test_one_message_wakes_one_process(server):
    ones = [await Process(server, f"s{n}").open() for n in range(3)]
    assert [await one.claim() for one in ones] == [(), (), ()]
    waits = [asyncio.create_task(one.broker.bell(("q",), 5.0)) for one in ones]
    await asyncio.sleep(0.2)
    sender = Process(server, "sender")

    await sender.broker.publish((posting("a"),))
    await asyncio.sleep(0.3)

    # The one that is called, and the one that watches for all of its node.
    assert 1 <= sum(wait.done() for wait in waits) <= 2
    for wait in waits:
        wait.cancel()


@on_a_loop
async def test_what_celery_sends_wakes_the_watcher_of_the_node(server):
    one = await Process(server, "s").open()
    took = asyncio.create_task(one.woken())
    for _ in range(3):
        await asyncio.sleep(0.35)
        server.cli("LPUSH", "q", '{"body": "", "headers": {"id": "x"}, "properties": {}}')
        sent = time.monotonic()
        await took
        assert time.monotonic() - sent < 0.2
        took = asyncio.create_task(one.woken())
    took.cancel()


@on_a_loop
async def test_a_countdown_is_over_when_it_is(server):
    one = await Process(server, "s").open()
    took = asyncio.create_task(one.woken())
    await asyncio.sleep(0.3)  # asleep, without knowing of any
    due = time.time() + 0.4

    await Process(server, "sender").broker.publish((posting("a", not_before=due),))
    await took

    assert 0.0 <= time.time() - due < 0.15


@on_a_loop
async def test_an_idle_node_asks_less_than_five_times_a_second(server):
    ones = [await Process(server, f"s{n}").open() for n in range(2)]
    chores = ones[0].driver.chores()

    async def keep_up() -> None:
        for _ in range(100):
            await asyncio.sleep(await chores.upkeep())

    idle = [asyncio.create_task(one.woken(60.0)) for one in ones] + [asyncio.create_task(keep_up())]
    await asyncio.sleep(1.5)
    server.cli("CONFIG", "RESETSTAT")
    await asyncio.sleep(4.0)
    asked = sum(calls(server, name) for name in ("evalsha", "client|caching", "client|tracking", "hkeys"))

    for one in idle:
        one.cancel()
    assert asked / 4.0 < 5.0


def calls(server: Server, command: str) -> int:
    """How often it was sent, or called by a script."""
    for line in server.cli("INFO", "commandstats").splitlines():
        if line.startswith(f"cmdstat_{command}:calls="):
            return int(line.partition("=")[2].partition(",")[0])
    return 0


@on_a_loop
async def test_what_is_sent_again_is_there_once(server):
    first, second = Process(server, "a"), Process(server, "b")
    batch = (posting("a"), posting("b"), posting("c", once=True), posting("d", not_before=time.time() + 100))

    await first.broker.publish(batch)
    await second.broker.publish(batch)
    await asyncio.to_thread(first.driver.blocking().publish, batch, timeout=5)

    one = await Process(server, "s").open()
    assert await one.ids() == ["a", "b", "c"]
    (counts,) = await one.driver.admin().counts(("q",))
    assert (counts.ready, counts.delayed) == (0, 1)


@on_a_loop
async def test_a_session_that_was_reaped_while_it_slept_learns_it(server):
    one = await Process(server, "s").open()
    asleep = asyncio.create_task(one.woken(20.0))
    await asyncio.sleep(0.2)
    await Process(server, "other").leases.leave(one.node)

    with pytest.raises(LeaseLost):
        await asleep


@on_a_loop
async def test_what_is_no_envelope_becomes_a_dead_letter_as_it_came(server):
    one = await Process(server, "s").open()
    server.cli("LPUSH", "q", "no json")
    (delivery,) = await one.claim()

    await one.broker.settle((Commitment(receipt=delivery.receipt, verdict=Verdict.REJECT, reason="undecodable"),))

    admin = one.driver.admin()
    (letter,) = await admin.dead()
    assert (letter.encoded.body, letter.reason) == (b"no json", "undecodable")
    assert await admin.redrive((letter.id,)) == 1
    assert server.cli("LRANGE", "q", 0, -1) == "no json"


@on_a_loop
async def test_a_hundred_thousand_countdowns_are_counted_and_purged(server):
    one = await Process(server, "s").open()
    due = time.time() + 1000
    for start in range(0, 5_000, 1_000):
        await one.broker.publish(tuple(posting(f"{start + n}", not_before=due) for n in range(1_000)))
    admin = one.driver.admin()

    (counts,) = await admin.counts(("q",))
    assert counts.delayed == 5_000
    assert await admin.purge(("q",)) == 5_000
    assert server.cli("EXISTS", "leveret:delayed", "leveret:delayed:messages") == "0"


@on_a_loop
async def test_all_keys_begin_with_the_prefix(server):
    options = {"transport": {"global_keyprefix": "app:"}, "result_transport": {"global_keyprefix": "app:"}}
    one = await Process(server, "s", **options).open()
    await one.broker.publish((posting("a"), posting("b", not_before=time.time() + 100), posting("c", once=True)))
    a, c = await one.claim()
    await one.broker.settle((Commitment(receipt=c.receipt, verdict=Verdict.REJECT, reason="x"),))
    await one.leases.beat(one.node)
    await one.driver.chores().upkeep()
    await asyncio.wait({asyncio.create_task(one.broker.bell(("q",), 0.1))})

    assert [key for key in server.cli("KEYS", "*").splitlines() if not key.startswith("app:")] == []


@on_a_loop
async def test_a_server_that_throws_keys_away_is_refused(server):
    server.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(ImproperlyConfigured, match="maxmemory-policy noeviction"):
            await Process(server, "s").open()
    finally:
        server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")


@on_a_loop
async def test_a_full_server_says_so_and_takes_what_ends(server):
    one = await Process(server, "s").open()
    await one.broker.publish((posting("a"),))
    (delivery,) = await one.claim()
    server.cli("CONFIG", "SET", "maxmemory", "1")
    try:
        with pytest.raises(PublishFailed, match="maxmemory"):
            await one.broker.publish((posting("b"),))
        with pytest.raises(PublishFailed, match="maxmemory"):
            await asyncio.to_thread(one.driver.blocking().publish, (posting("b"),), timeout=5)
        await one.broker.settle((Commitment(receipt=delivery.receipt, verdict=Verdict.ACK),))
    finally:
        server.cli("CONFIG", "SET", "maxmemory", "0")
    assert await one.ids() == []
