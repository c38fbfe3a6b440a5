"""Processes killed in the middle of transactions: nothing that `publish` answered for is lost, nothing ends twice."""

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import time

import msgspec
import pytest
from tests.integration.sql.rig import (
    ShiftedClock,
    claim,
    counts,
    node,
    open_driver,
    posting,
    send,
    session,
    success,
    task_id,
    work,
)

from leveret.model.delivery import Charge
from leveret.model.node import Reaping

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
CONTEXT = multiprocessing.get_context("spawn")


def _publish_for_ever(folder, journal, name):
    driver = open_driver(folder)
    blocking = driver.blocking()
    with open(journal, "a", buffering=1) as file:
        n = 0
        while True:
            ids = [f"{name}-{n + k}" for k in range(1 if n % 3 else 40)]
            blocking.publish(tuple(map(posting, ids)), timeout=10)
            file.write("\n".join(ids) + "\n")
            n += len(ids)


def _work_for_ever(folder, name):
    driver = open_driver(folder)

    async def main():
        round_ = 0
        while True:
            round_ += 1
            if not await work(driver, f"{name}-{round_}"):
                await asyncio.sleep(0.005)

    asyncio.run(main())


def test_nothing_answered_for_is_lost_and_nothing_ends_twice(tmp_path):
    """Ten rounds of kills; the killed workers' sessions are reaped as their supervisor would."""
    journals = []
    for turn in range(10):
        journal = tmp_path / f"journal{turn}"
        journals.append(journal)
        processes = [
            CONTEXT.Process(target=_publish_for_ever, args=(tmp_path, journal, f"p{turn}")),
            CONTEXT.Process(target=_work_for_ever, args=(tmp_path, f"w{turn}")),
        ]
        for process in processes:
            process.start()
        end = time.monotonic() + 15
        while not (journal.exists() and journal.stat().st_size > 2000) and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.013 * turn)
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
    driver = open_driver(tmp_path)
    with sqlite3.connect(tmp_path / "queue.db") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        lost = [row[0] for row in raw.execute("SELECT id FROM sessions")]
    asyncio.run(driver.leases().reap(tuple(Reaping(session=name) for name in lost)))
    asyncio.run(work(driver, "last", credit=200))

    sent = {line for journal in journals for line in journal.read_text().split("\n") if line}
    with sqlite3.connect(tmp_path / "queue.db") as raw:
        ended = {row[0] for row in raw.execute("SELECT id FROM results WHERE terminal")}
        rows = [raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("messages", "claims", "ready")]
    assert len(sent) > 500
    assert sent <= ended
    assert rows == [0, 0, 0]


def _stop_inside(folder, ready):
    driver = open_driver(folder)

    def work_(connection):
        connection.execute("add_queue", ("half",))
        ready.set()
        time.sleep(60)

    driver._database.write(work_)


def test_a_process_stopped_inside_a_transaction_stops_nobody_for_ever(tmp_path):
    driver = open_driver(tmp_path, publish_timeout=0.3)
    send(driver, "a")
    ready = CONTEXT.Event()
    process = CONTEXT.Process(target=_stop_inside, args=(tmp_path, ready))
    process.start()
    assert ready.wait(15)
    os.kill(process.pid, signal.SIGSTOP)
    try:

        async def main():
            beats = 0
            waiting = asyncio.create_task(driver.leases().beat(node("n")))
            while not waiting.done():
                await asyncio.sleep(0.01)
                beats += 1
            return beats, waiting.exception()

        beats, error = asyncio.run(main())
        assert type(error).__name__ == "StoreBusy"
        assert beats > 5, "the loop went on meanwhile"
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.join()

    send(driver, "b")
    assert counts(driver) == (2, 0, 0, 0)


def _hold(folder, ready):
    driver = open_driver(folder)

    async def main():
        member = node("n", incarnation="old")
        await driver.leases().register(member, (session("old", member),))
        assert await driver.broker().claim(claim("old", 1))

    asyncio.run(main())
    ready.set()
    time.sleep(60)


def test_a_killed_predecessor_is_reaped_by_its_successor_at_once(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, "a")
    ready = CONTEXT.Event()
    process = CONTEXT.Process(target=_hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(15)

    async def main():
        member = node("n", incarnation="new")
        await driver.leases().register(member, (session("early", member),))
        assert counts_now() == (0, 0, 1, 0), "it still lives: nothing is taken from it"
        os.kill(process.pid, signal.SIGKILL)
        # Not joined: a zombie is gone too.
        end = time.monotonic() + 5
        while counts_now() != (1, 0, 0, 0):
            assert time.monotonic() < end
            later = node("n", incarnation=f"new-{time.monotonic()}")
            await driver.leases().register(later, (session("new", later, quarantine=True),))
        assert (await driver.leases().beat(later)).suspects == 1
        (again,) = await driver.broker().claim(claim("new", 1, suspects=True))
        assert (again.suspect, again.charges, again.count) == (True, (), 2)

    def counts_now():
        raw = sqlite3.connect(tmp_path / "queue.db")
        row = raw.execute("SELECT (SELECT count(*) FROM ready), 0, (SELECT count(*) FROM claims), 0").fetchone()
        raw.close()
        return row

    asyncio.run(main())
    process.join()


def test_a_living_worker_process_of_a_dead_supervisor_has_three_seconds(tmp_path):
    clock = ShiftedClock()
    driver = open_driver(tmp_path, clock)
    send(driver, "a")

    async def main():
        leases, broker = driver.leases(), driver.broker()
        old = node("n", incarnation="old", pid=_gone())
        parent = os.getppid()
        await leases.register(old, (session("orphan", old, pid=parent),))
        (held,) = await broker.claim(claim("orphan", 1))
        new = node("n", incarnation="new")
        await leases.register(new, (session("s", new),))
        assert (await leases.beat(new)).reaped == 0
        assert await broker.claim(claim("s", 1)) == ()
        clock.shift = 3.1
        assert (await leases.beat(new)).reaped == 1
        return held, await broker.commit((success(held),))

    held, answers = asyncio.run(main())
    assert task_id(held) == "a"
    assert type(answers[0]).__name__ == "Stale"


def test_a_charge_is_written_before_the_message_can_be_had_again(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, "a", "b")

    async def main():
        member = node("n")
        await driver.leases().register(member, (session("s", member), session("t", member)))
        broker = driver.broker()
        killer, other = await broker.claim(claim("s", 1))
        charge = Charge(reason="signal 9", at=1.0, session="s")
        await driver.leases().reap((Reaping(session=killer_session, charged=((killer.receipt, charge),)),))
        again = await broker.claim(claim("t", 1))
        assert [(task_id(d), d.charges, d.count) for d in again] == [("a", (charge,), 2), ("b", (), 2)]
        assert other.receipt != again[1].receipt

    killer_session = session("s", node("n")).id
    asyncio.run(main())


def _gone() -> int:
    process = CONTEXT.Process(target=_nothing)
    process.start()
    process.join()
    return process.pid


def _nothing() -> None:
    return None


def test_two_containers_of_one_name_whose_processes_are_both_number_one_leave_each_other_alone(tmp_path):
    clock = ShiftedClock()
    leases = open_driver(tmp_path, clock).leases()
    first, second = (
        msgspec.structs.replace(node("w", incarnation=name), started=clock.now() + later)
        for name, later in (("a", 0.0), ("b", 2.0))
    )

    async def main():
        await leases.register(first, ())
        clock.shift = 2.0
        # No beat since: it may be a killed predecessor, and is taken for one.
        await leases.register(second, ())
        clock.shift = 4.0
        assert (await leases.beat(first)).revived
        await leases.register(first, ())
        clock.shift = 5.0
        assert not (await leases.beat(second)).revived
        await leases.register(second, ())
        assert not (await leases.beat(first)).revived

    asyncio.run(main())
