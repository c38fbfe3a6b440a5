"""One message, one statement; and all the rest whenever there is more to do than that."""

import asyncio
import fcntl
import os
import sqlite3
import threading

import pytest
from tests.integration.sql.rig import claim, counts, node, open_driver, posting, send, session, task_id, until

from leveret.brokers.sql import alone
from leveret.errors import EncodeError, PublishFailed
from leveret.links.sql.messages import UNSORTED


def _statements(driver):
    """What the durable connection runs from now on."""
    run = []
    driver._database.durable._open().set_trace_callback(lambda text: run.append(text.split(None, 1)[0]))
    return run


def test_a_lone_message_is_one_statement(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, "first")
    run = _statements(driver)

    send(driver, "second")

    assert run == ["INSERT"]
    assert counts(driver) == (2, 0, 0, 0)


@pytest.mark.parametrize("options", [{"once": True}, {"not_before": 1.0}, {"queue": "new"}, {"priority": 12}])
def test_whatever_has_more_to_it_takes_the_long_way(tmp_path, options):
    driver = open_driver(tmp_path)
    send(driver, "first")
    run = _statements(driver)

    driver.blocking().publish((posting("second", **options),), timeout=5)

    assert run[0] == "BEGIN"
    assert run[-1] == "COMMIT"


def test_a_copy_adds_nothing(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, "first")
    for _ in range(3):
        send(driver, "second")

    assert counts(driver) == (2, 0, 0, 0)


def test_nothing_is_written_while_a_session_waits_to_be_called(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, "first")

    async def lie_down():
        member = node("n")
        await driver.leases().register(member, (session("s", member),))
        broker = driver.broker()
        await broker.claim(claim("s", 1))
        waiting = asyncio.create_task(broker.bell(("default",), 30))
        await until(lambda: driver._database.peek(lambda c: c.execute("idle_bells").fetchall()))
        connection = driver._database.durable
        assert not alone.publish(connection, posting("second"), 0.0, True)
        assert counts_of(tmp_path) == 1
        send(driver, "second")
        await asyncio.wait_for(waiting, 5)

    asyncio.run(lie_down())
    assert counts_of(tmp_path) == 2


def counts_of(folder):
    with sqlite3.connect(folder / "queue.db") as raw:
        return raw.execute("SELECT count(*) FROM messages").fetchone()[0]


@pytest.mark.parametrize("file", ["line", "turn"])
def test_it_comes_after_whoever_waits_or_writes(tmp_path, file):
    driver = open_driver(tmp_path)
    send(driver, "first")
    other = os.open(tmp_path / f"queue.db-{file}", os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)

    with pytest.raises(PublishFailed):
        driver.blocking().publish((posting("second"),), timeout=0.05)
    sender = threading.Thread(target=send, args=(driver, "third"))
    sender.start()
    os.close(other)
    sender.join(5)

    assert counts(driver) == (2, 0, 0, 0)


def test_many_single_messages_are_sorted_now_and_then(tmp_path):
    driver = open_driver(tmp_path)
    names = [f"m{n:04}" for n in range(2 * UNSORTED + 10)]
    for name in names:
        send(driver, name)
    with sqlite3.connect(tmp_path / "queue.db") as raw:
        ready = raw.execute("SELECT count(*) FROM ready").fetchone()[0]

    async def take():
        member = node("n")
        await driver.leases().register(member, (session("s", member),))
        return await driver.broker().claim(claim("s", 1, len(names)))

    assert len(names) - ready <= UNSORTED
    assert [task_id(delivery) for delivery in asyncio.run(take())] == names


def test_a_message_that_cannot_be_stored_is_refused(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, "first")
    bad = posting("bad")
    bad.encoded.headers["x"] = object()

    with pytest.raises(EncodeError):
        driver.blocking().publish((bad,), timeout=5)

    assert counts(driver) == (1, 0, 0, 0)


def test_an_error_of_the_file_is_a_failed_publish(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, "first")
    driver._database.durable._open().execute("PRAGMA query_only = 1")

    with pytest.raises(PublishFailed, match="nothing was sent"):
        send(driver, "second")
