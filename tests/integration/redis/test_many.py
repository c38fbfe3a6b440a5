"""Many waiters, threads, loops and processes on one store."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.integration.redis.rig import driver, started, success

from leveret.links.redis.results.listeners import LEAVE_SECONDS

ROOT = Path(__file__).parents[3]
WAITERS = 10_000


def clients(server) -> int:
    return sum("name=leveret" in line for line in server.cli("CLIENT", "LIST").splitlines())


def test_ten_thousand_waiters_share_one_connection(server):
    async def main() -> None:
        waiting, storing = driver(server).backend(), driver(server).backend()
        names = [f"m{n}" for n in range(WAITERS)]
        waits = [asyncio.create_task(waiting.wait([name], 60)) for name in names]
        await asyncio.to_thread(server.until_subscribed, f"celery-task-meta-{names[-1]}")
        assert clients(server) == 1

        for start in range(0, WAITERS, 500):
            assert all(await storing.store(tuple(map(success, names[start : start + 500]))))
        found = await asyncio.gather(*waits)

        assert [records[0].id for records in found] == names
        assert clients(server) == 2
        while server.cli("PUBSUB", "CHANNELS"):  # noqa: ASYNC110 - Redis says nothing when the last one has left
            await asyncio.sleep(0.05)
        await waiting.close()
        await storing.close()

    asyncio.run(main())


def test_cancelled_waiters_leave_nothing_behind(server):
    async def main() -> None:
        backend = driver(server).backend()
        waits = [asyncio.create_task(backend.wait([f"m{n}"], 60)) for n in range(300)]
        await asyncio.to_thread(server.until_subscribed, "celery-task-meta-m299")
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        while server.cli("PUBSUB", "CHANNELS"):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)

        asked = int(server.info("cmdstat_mget").partition("calls=")[2].partition(",")[0])
        await asyncio.sleep(1.0)
        assert int(server.info("cmdstat_mget").partition("calls=")[2].partition(",")[0]) == asked, (
            "nobody looks any more"
        )

        again = asyncio.create_task(backend.wait(["m0"], 60))
        await asyncio.to_thread(server.until_subscribed, "celery-task-meta-m0")
        await backend.store((success("m0"),))
        assert (await again)[0].id == "m0"
        await backend.close()

    asyncio.run(main())


def test_who_comes_back_to_a_channel_is_still_heard(server):
    async def main() -> None:
        backend = driver(server).backend()
        await backend.wait(["a"], 0.05)
        again = asyncio.create_task(backend.wait(["a"], 60))
        await asyncio.sleep(2 * LEAVE_SECONDS)
        assert server.cli("PUBSUB", "CHANNELS") == "celery-task-meta-a", "the first waiter's leaving is called off"
        again.cancel()
        await backend.close()

    asyncio.run(main())


def test_each_change_ends_a_wait(server):
    async def main() -> None:
        backend = driver(server).backend()
        seen = []
        wait = asyncio.create_task(backend.wait(["a"], 10))
        await asyncio.sleep(0.05)
        await backend.store((started("a"),))
        seen.append((await wait)[0].state)
        wait = asyncio.create_task(backend.wait(["a"], 10))
        await asyncio.sleep(0.05)
        await backend.store((success("a", 2),))
        (found,) = await wait
        assert (*seen, found.state) == ("STARTED", "SUCCESS")
        await backend.close()

    asyncio.run(main())


def test_after_a_retry_the_attempt_of_the_end_is_known(server):
    async def main() -> None:
        backend, storing = driver(server).backend(), driver(server).backend()
        retry = success("a", state="RETRY", terminal=False, meta=b'{"status":"RETRY"}', not_before=5.0)
        wait = asyncio.create_task(backend.wait(["a"], 10))
        await asyncio.sleep(0.05)
        await storing.store((retry,))
        (found,) = await wait
        assert (found.state, found.not_before) == ("RETRY", 5.0)
        wait = asyncio.create_task(backend.wait(["a"], 10))
        await asyncio.sleep(0.05)
        await storing.store((success("a", 1),))
        (found,) = await wait
        assert (found.state, found.attempt) == ("SUCCESS", 1)
        # Both at once: the second message comes while the first one's look is under way.
        wait = asyncio.create_task(backend.wait(["b"], 10))
        await asyncio.sleep(0.05)
        await storing.store(
            (success("b", 0, state="RETRY", terminal=False, meta=b'{"status":"RETRY"}'), success("b", 1))
        )
        (found,) = await wait
        assert (found.state, found.attempt) == ("SUCCESS", 1)
        await backend.close()
        await storing.close()

    asyncio.run(main())


def test_threads_wait_each_for_itself(server):
    face = driver(server).blocking_backend()
    names = [f"m{n}" for n in range(24)]
    found: dict[str, object] = {}

    def wait(name: str) -> None:
        found[name] = face.wait([name], 20)[0]

    threads = [threading.Thread(target=wait, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for name in names:
        server.until_subscribed(f"celery-task-meta-{name}")
    for name in names:
        face.store((success(name),))
    for thread in threads:
        thread.join(10)

    assert {name: record.id for name, record in found.items()} == {name: name for name in names}
    assert clients(server) <= 16, "no more are kept"
    face.close()
    assert clients(server) == 0


def test_one_outcome_is_stored_whoever_is_first(server):
    """Eight threads store other outcomes of the same tasks: for each task one is told yes, and that one stands."""
    names = [f"m{n}" for n in range(50)]
    answers: dict[int, tuple[bool, ...]] = {}

    def store(number: int) -> None:
        face = driver(server).blocking_backend()
        meta = b'{"status":"SUCCESS","result":%d}' % number
        answers[number] = face.store(tuple(success(name, meta=meta) for name in names))
        face.close()

    threads = [threading.Thread(target=store, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    face = driver(server).blocking_backend()
    for place, record in enumerate(face.get(names)):
        (winner,) = [number for number, told in answers.items() if told[place]]
        assert record.meta == b'{"status":"SUCCESS","result":%d}' % winner
    face.close()


def test_a_fork_has_connections_of_its_own(server):
    face = driver(server).blocking_backend()
    face.store((success("a"),))
    parents = server.cli("CLIENT", "LIST")
    pid = os.fork()
    if pid == 0:
        try:
            good = face.get(["a"])[0].id == "a" and face.store((success("b"),)) == (True,)
            waited = face.wait(["b"], 5)[0].id == "b" and clients(server) == 2
            face.close()
            os._exit(0 if good and waited else 1)
        except BaseException:
            os._exit(2)

    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert face.get(["b"])[0].id == "b"
    assert clients(server) == 1 and "name=leveret" in parents
    face.close()


def test_a_loop_in_a_fork_connects_anew(server):
    async def main() -> int:
        backend = driver(server).backend()
        await backend.store((success("a"),))
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                thread = threading.Thread(target=lambda: asyncio.run(_child(backend)))
                thread.start()
                thread.join(10)
                code = 0 if _FOUND == ["a"] else 1
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert (await backend.get(["a"]))[0].id == "a", "the parent's connection is as it was"
        await backend.close()
        return os.waitstatus_to_exitcode(status)

    assert asyncio.run(main()) == 0


_FOUND: list[str] = []


async def _child(backend) -> None:
    _FOUND.append((await backend.get(["a"]))[0].id)


def test_a_hundred_loops_leave_no_connection(server, recwarn):
    drv = driver(server)
    backend = drv.backend()
    for n in range(100):
        asyncio.run(_once(backend, n))
    gc.collect()

    deadline = time.monotonic() + 5
    while clients(server):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert [str(warning.message) for warning in recwarn if issubclass(warning.category, ResourceWarning)] == []


async def _once(backend, n: int) -> None:
    assert await backend.store((success(f"m{n}"),)) == (True,)


GREEN = """
import gevent.monkey; gevent.monkey.patch_all()
import gevent, sys, threading, time
from tests.integration.redis.rig import driver, success
drv = driver(sys.argv[1])
face = drv.blocking_backend()
began = time.monotonic()
waits = [gevent.spawn(face.wait, [f"m{n}"], 20) for n in range(50)]
gevent.sleep(0.3)
for n in range(50):
    assert face.store((success(f"m{n}"),)) == (True,)
gevent.joinall(waits, timeout=10)
assert [wait.value[0].id for wait in waits] == [f"m{n}" for n in range(50)]
assert time.monotonic() - began < 5
print("all came", threading.active_count())
"""


def test_greenlets_wait_beside_one_another(server):
    pytest.importorskip("gevent", reason="gevent is not installed")
    done = subprocess.run(
        [sys.executable, "-c", GREEN, server.url], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )

    assert done.stdout == "all came 1\n", done.stderr[-2000:]
