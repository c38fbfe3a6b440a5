"""What is special about the memory driver; what it shares with others is in tests/conformance."""

import asyncio
import gc
import threading

from leveret.backends.memory import MemoryBackendDriver
from leveret.brokers.memory import MemoryDriver
from leveret.model.delivery import Claim, Encoded, Posting, SessionId
from leveret.model.endpoint import Url
from leveret.model.message import TaskId
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Record
from leveret.testing.clock import SimClock

OPTIONS = DriverOptions()


def driver(name="unit"):
    return MemoryDriver(Url(f"memory://{name}"), OPTIONS, SimClock())


def posting(id):
    return Posting(id=id, queue="q", encoded=Encoded(headers={"id": id}, body=b""))


async def joined(driver):
    node = Node(name="w1", incarnation="1", boot="b", pid=1)
    await driver.leases().register(node, (Session(id=SessionId("s"), node="w1", incarnation="1", pid=1),))
    return driver.broker()


def test_drivers_of_one_url_share_a_server():
    one, other = driver("shared"), driver("shared")

    assert one.server is other.server
    assert driver("else").server is not one.server


def test_a_server_is_gone_when_nobody_uses_it():
    first = driver("short-lived")
    first.blocking().publish((posting("a"),), timeout=1)
    del first
    gc.collect()

    counts = asyncio.run(driver("short-lived").admin().counts())

    assert counts == ()


def test_the_store_alone_is_the_same_server():
    broker = driver("both")
    store = MemoryBackendDriver(Url("memory://both"), OPTIONS, SimClock())
    record = Record(id=TaskId("a"), attempt=0, state="SUCCESS", terminal=True)

    assert store.blocking_backend().store((record,)) == (True,)
    assert broker.blocking_backend().get(["a"]) == (record,)


def test_a_thread_rings_a_loop():
    shared = driver("rings")

    async def main():
        broker = await joined(shared)
        claim = Claim(session=SessionId("s"), queues=("q",), credit=1, number=0)
        assert await broker.claim(claim) == ()
        publish = threading.Thread(target=lambda: shared.blocking().publish((posting("a"),), timeout=1))
        asyncio.get_running_loop().call_later(0.02, publish.start)
        async with asyncio.timeout(5):
            await broker.bell(("q",), 60)
        publish.join()

    asyncio.run(main())


def test_the_bell_does_not_wait_when_the_last_claim_left_something():
    shared = driver("left")
    shared.blocking().publish((posting("a"), posting("b")), timeout=1)

    async def main():
        broker = await joined(shared)
        assert len(await broker.claim(Claim(session=SessionId("s"), queues=("q",), credit=1, number=0))) == 1
        async with asyncio.timeout(5):
            await broker.bell(("q",), 60)

    asyncio.run(main())


def test_many_threads_and_loops_lose_and_double_nothing():
    shared = driver("crowd")
    names = [[f"{thread}-{n}" for n in range(200)] for thread in range(8)]
    seen: list[str] = []

    def send(mine):
        broker = shared.blocking()
        for name in mine:
            broker.publish((posting(name),), timeout=1)

    async def take(number):
        broker = shared.broker()
        node = Node(name=f"w{number}", incarnation="1", boot="b", pid=1)
        session = SessionId(f"s{number}")
        await shared.leases().register(node, (Session(id=session, node=node.name, incarnation="1", pid=1),))
        turn = 0
        while len(seen) < 1600:
            deliveries = await broker.claim(Claim(session=session, queues=("q",), credit=7, number=turn))
            seen.extend(delivery.encoded.headers["id"] for delivery in deliveries)
            turn += 1
            if not deliveries:
                await broker.bell(("q",), 0.05)

    threads = [threading.Thread(target=send, args=(mine,)) for mine in names]
    threads += [threading.Thread(target=lambda n=n: asyncio.run(take(n))) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(seen) == sorted(name for mine in names for name in mine)


def test_a_ring_for_a_loop_that_has_ended_is_no_error():
    shared = driver("ended")

    async def listen():
        broker = await joined(shared)
        await broker.claim(Claim(session=SessionId("s"), queues=("q",), credit=1, number=0))
        bell = asyncio.ensure_future(broker.bell(("q",), 60))
        await asyncio.sleep(0)
        return bell

    loop = asyncio.new_event_loop()
    bell = loop.run_until_complete(listen())
    loop.call_soon(bell.cancel)
    shared.blocking().publish((posting("a"),), timeout=1)
    loop.run_until_complete(asyncio.gather(bell, return_exceptions=True))
    loop.close()
    shared.blocking().publish((posting("b"),), timeout=1)
