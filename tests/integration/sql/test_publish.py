"""Publishing as programs do it: many threads, forked children, loops that serve others."""

import asyncio
import os
import sqlite3
import threading

import pytest
from tests.integration.sql.rig import claim, counts, node, open_driver, posting, send, session, task_id, work

from leveret.errors import EncodeError


def test_threads_share_commits_and_lose_nothing(tmp_path):
    driver = open_driver(tmp_path)
    blocking = driver.blocking()
    send(driver, "first")

    def run(thread):
        for n in range(50):
            blocking.publish((posting(f"{thread}-{n}"),), timeout=10)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counts(driver) == (401, 0, 0, 0)
    with sqlite3.connect(tmp_path / "queue.db") as raw:
        ids = [row[0] for row in raw.execute("SELECT id FROM messages ORDER BY seq")]
    for thread in range(8):
        assert [i for i in ids if i.startswith(f"{thread}-")] == [f"{thread}-{n}" for n in range(50)]


def test_one_threads_bad_posting_fails_alone(tmp_path):
    driver = open_driver(tmp_path)
    bad = posting("bad")
    bad.encoded.headers["x"] = object()

    with pytest.raises(EncodeError):
        driver.blocking().publish((bad,), timeout=5)
    send(driver, "good")

    assert counts(driver) == (1, 0, 0, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on_after_its_parent_has_closed(tmp_path):
    """A connection carried over a fork would believe in locks it has not got; the parent's close would then delete
    the write-ahead log under the child."""
    driver = open_driver(tmp_path)
    send(driver, "parent")
    address = driver.blocking().reply_address()
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            send(driver, "child-1")
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            send(driver, "child-2")
            code = 0 if driver.blocking().reply_address() != address else 3
        finally:
            os._exit(code)
    os.read(ready[0], 1)
    driver.close()
    other = open_driver(tmp_path)
    send(other, "other")
    other.close()
    os.write(go[1], b"x")

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert counts(open_driver(tmp_path)) == (4, 0, 0, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_other_threads_publish_neither_hangs_nor_loses(tmp_path):
    driver = open_driver(tmp_path)
    stop = threading.Event()
    sent = []

    def publish():
        while not stop.is_set():
            send(driver, f"p{len(sent)}")
            sent.append(1)

    thread = threading.Thread(target=publish)
    thread.start()
    children = []
    for n in range(5):
        child = os.fork()
        if child == 0:
            try:
                send(driver, f"child{n}")
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    stop.set()
    thread.join()

    assert codes == [0] * 5
    assert counts(driver)[0] == len(sent) + 5


def test_a_callers_loop_goes_on_while_its_publish_waits_for_the_disk(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, "first")
    other = sqlite3.connect(tmp_path / "queue.db", isolation_level=None, check_same_thread=False)

    async def main():
        other.execute("BEGIN IMMEDIATE")
        sending = asyncio.create_task(driver.broker(inline=False).publish((posting("a"),)))
        steps = 0
        while steps < 20:
            await asyncio.sleep(0.001)
            steps += 1
        assert not sending.done()
        other.execute("ROLLBACK")
        await asyncio.wait_for(sending, 5)

    asyncio.run(main())
    assert counts(driver) == (2, 0, 0, 0)


def test_single_publishes_keep_order_and_priority_until_a_claim_sorts_them(tmp_path):
    driver = open_driver(tmp_path)
    names = [f"m{n:03}" for n in range(150)]
    for name in names:
        send(driver, name)
    driver.blocking().publish((posting("urgent", priority=9),), timeout=5)
    assert counts(driver) == (151, 0, 0, 0)

    async def main():
        member = node("n")
        await driver.leases().register(member, (session("s", member),))
        return await driver.broker().claim(claim("s", 1, 200))

    assert [task_id(delivery) for delivery in asyncio.run(main())] == ["urgent", *names]


def test_a_place_is_never_given_twice_after_the_queue_ran_empty(tmp_path):
    driver = open_driver(tmp_path)
    for n in range(5):
        send(driver, f"a{n}")
        assert asyncio.run(work(driver, f"w{n}")) == 1
    send(driver, "last")

    assert counts(driver) == (1, 0, 0, 0)
    assert asyncio.run(work(driver, "end")) == 1
