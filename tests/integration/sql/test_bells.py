"""Wake-ups: a hint that comes at once, and the look behind it when it is lost."""

import asyncio
import threading
import time

import pytest
from tests.integration.sql.rig import QUEUE, claim, node, open_driver, posting, send, session, success, until


async def _idle(driver, name):
    member = node(name)
    await driver.leases().register(member, (session(name, member),))
    broker = driver.broker()
    assert await broker.claim(claim(name, 1)) == ()
    return broker


def _bells(driver):
    return driver._database.peek(lambda c: dict(c._open().execute("SELECT session, idle FROM bells").fetchall()))


def test_a_publish_wakes_one_idle_session_and_no_more(tmp_path):
    drivers = [open_driver(tmp_path, poll_seconds=60.0) for _ in range(2)]

    async def main():
        brokers = [await _idle(driver, f"s{n}") for n, driver in enumerate(drivers)]
        waits = [asyncio.create_task(broker.bell((QUEUE,), 30)) for broker in brokers]
        await until(lambda: sum(_bells(drivers[0]).values()) == 2)
        await asyncio.to_thread(send, open_driver(tmp_path), "a")
        done, waiting = await asyncio.wait(waits, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), len(waiting)) == (1, 1)
        assert sum(_bells(drivers[0]).values()) == 1
        await asyncio.to_thread(send, open_driver(tmp_path), "b")
        await asyncio.wait_for(waiting.pop(), 5)

    asyncio.run(main())


def test_other_queues_do_not_wake(tmp_path):
    driver = open_driver(tmp_path)

    async def main():
        broker = await _idle(driver, "s")
        waiting = asyncio.create_task(broker.bell((QUEUE,), 1.2))
        await until(lambda: _bells(driver).get("s"))
        start = time.monotonic()
        await driver.broker().publish((posting("a", queue="other"),))
        await waiting
        assert time.monotonic() - start > 0.9

    asyncio.run(main())


def test_work_that_came_before_the_wait_ends_it_at_once(tmp_path):
    driver = open_driver(tmp_path, poll_seconds=60.0)

    async def main():
        broker = await _idle(driver, "s")
        await driver.broker().publish((posting("a"),))
        await asyncio.wait_for(broker.bell((QUEUE,), 30), 5)

    asyncio.run(main())


def test_a_session_that_stops_waiting_is_not_rung(tmp_path):
    driver = open_driver(tmp_path, poll_seconds=60.0)

    async def main():
        stopping, other = await _idle(driver, "s0"), await _idle(driver, "s1")
        first = asyncio.create_task(stopping.bell((QUEUE,), 30))
        await until(lambda: _bells(driver).get("s0"))
        waiting = asyncio.create_task(other.bell((QUEUE,), 30))
        await until(lambda: sum(_bells(driver).values()) == 2)
        first.cancel()
        await asyncio.wait((first,))
        assert list(_bells(driver)) == ["s1"]
        await asyncio.to_thread(send, open_driver(tmp_path), "a")
        await asyncio.wait_for(waiting, 5)

    asyncio.run(main())


@pytest.mark.parametrize("heard", [False, True])
def test_a_ring_for_a_session_that_stops_goes_to_another(tmp_path, monkeypatch, heard):
    driver, sender = open_driver(tmp_path, poll_seconds=60.0), open_driver(tmp_path)
    if not heard:
        monkeypatch.setattr(sender._database.ringer, "ring", lambda addresses: None)

    async def main():
        stopping, other = await _idle(driver, "s0"), driver.broker()
        first = asyncio.create_task(stopping.bell((QUEUE,), 30))
        await until(lambda: _bells(driver).get("s0"))
        await asyncio.to_thread(send, sender, "a")
        if heard:
            await first
        other._session = "s1"
        monkeypatch.setattr(other, "_has_work", lambda *_: False)
        waiting = asyncio.create_task(other.bell((QUEUE,), 30))
        await until(lambda: _bells(driver).get("s1"))
        # It stops before it hears, or before it claims.
        await stopping.close() if heard else first.cancel()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(main())


def test_a_lost_ring_costs_one_look_and_not_the_task(tmp_path, monkeypatch):
    driver, deaf = open_driver(tmp_path), open_driver(tmp_path)
    monkeypatch.setattr(deaf._database.ringer, "ring", lambda addresses: None)

    async def main():
        broker = await _idle(driver, "s")
        waiting = asyncio.create_task(broker.bell((QUEUE,), 30))
        await until(lambda: _bells(driver).get("s"))
        await asyncio.to_thread(send, deaf, "a")
        await asyncio.wait_for(waiting, 3)

    asyncio.run(main())


def _finish(folder, reply_to, ready):
    driver = open_driver(folder)

    async def main():
        member = node("w")
        await driver.leases().register(member, (session("w", member),))
        broker = driver.broker()
        deliveries = await broker.claim(claim("w", 1))
        ready.wait(5)
        await broker.commit(tuple(success(delivery, reply_to=reply_to) for delivery in deliveries))

    asyncio.run(main())


@pytest.mark.parametrize("rung", [True, False], ids=["rung", "looking"])
def test_whoever_waits_for_a_result_has_it_soon(tmp_path, rung):
    driver = open_driver(tmp_path)
    send(driver, "a")
    ready, reply_to = threading.Event(), driver.blocking().reply_address() if rung else None
    worker = threading.Thread(target=_finish, args=(tmp_path, reply_to, ready))
    worker.start()
    ready.set()

    (record,) = driver.blocking_backend().wait(("a",), 10)

    worker.join()
    assert record is not None
    assert record.state == "SUCCESS"


def test_a_waiting_coroutine_is_rung_too(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, "a")

    async def main():
        ready = threading.Event()
        address = driver.blocking().reply_address()
        waiting = asyncio.create_task(driver.backend(inline=False).wait(("a",), 10))
        await asyncio.sleep(0)
        worker = asyncio.create_task(asyncio.to_thread(_finish, tmp_path, address, ready))
        ready.set()
        (record,) = await waiting
        await worker
        assert record is not None and record.terminal

    asyncio.run(main())


def test_an_idle_wait_costs_no_cpu(tmp_path):
    driver = open_driver(tmp_path)

    async def main():
        broker = await _idle(driver, "s")
        await broker.bell((QUEUE,), 0.1)
        start = time.process_time()
        await broker.bell((QUEUE,), 2.0)
        return time.process_time() - start

    assert asyncio.run(main()) < 0.02
