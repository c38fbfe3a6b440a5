"""Redis goes away: nothing hangs, errors are the broker's, and waits go on where a new server has the answer."""

import asyncio
import threading
import time

import pytest
from tests.integration.redis.rig import driver, success
from tests.integration.redis.server import nobody

from leveret.errors import BrokerError, OperationalError


def in_thread(work) -> tuple[threading.Thread, list]:
    outcome: list = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def test_nobody_at_the_address():
    port = nobody()
    drv = driver(f"redis://:secret@127.0.0.1:{port}/0")

    async def store() -> None:
        await drv.backend().store((success("a"),))

    for attempt in (lambda: drv.blocking_backend().get(["a"]), lambda: asyncio.run(store())):
        with pytest.raises(
            OperationalError, match=f"cannot reach Redis at redis://:\\*\\*@127.0.0.1:{port}/0: .*refused"
        ):
            attempt()
    with pytest.raises(OperationalError, match="refused"):
        drv.blocking_backend().wait(["a"], 0.1)


def test_storing_fails_while_redis_is_down_and_works_again_after(own_server):
    async def main() -> None:
        backend = driver(own_server).backend()
        assert await backend.store((success("a"),)) == (True,)
        own_server.kill()

        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(BrokerError, match=r"cannot reach Redis|broke"):
                await backend.store((success("b"),))
        assert time.monotonic() - began < 1, "a refused connection is known at once"

        own_server.start()
        assert await backend.store((success("b"),)) == (True,)
        await backend.close()

    asyncio.run(main())


def test_the_blocking_face_notices_that_its_connection_died(own_server):
    face = driver(own_server).blocking_backend()
    face.store((success("a"),))
    own_server.kill()
    own_server.start()

    assert face.get(["a"]) == (None,), "nothing was saved; and no error"
    assert face.store((success("a"),)) == (True,)
    face.close()


def test_a_wait_goes_on_after_a_restart(own_server):
    face = driver(own_server).blocking_backend()
    thread, outcome = in_thread(lambda: face.wait(["a"], 20))
    own_server.until_subscribed("celery-task-meta-a")

    own_server.kill()
    own_server.start()
    storing = driver(own_server).blocking_backend()
    storing.store((success("a"),))

    thread.join(10)
    assert outcome[0][0].state == "SUCCESS"
    storing.close()
    face.close()


def test_all_waits_of_a_loop_go_on_after_a_restart(own_server):
    async def main() -> None:
        backend, storing = driver(own_server).backend(), driver(own_server).backend()
        names = [f"m{n}" for n in range(50)]
        waits = [asyncio.create_task(backend.wait([name], 20)) for name in names]
        await asyncio.to_thread(own_server.until_subscribed, f"celery-task-meta-{names[-1]}")
        own_server.kill()
        await asyncio.sleep(0.1)
        own_server.start()
        for name in (names[0], names[-1]):
            await asyncio.to_thread(own_server.until_subscribed, f"celery-task-meta-{name}")
        await storing.store(tuple(map(success, names)))

        found = await asyncio.wait_for(asyncio.gather(*waits), 15)
        assert [records[0].id for records in found] == names
        await backend.close()
        await storing.close()

    asyncio.run(main())


@pytest.mark.parametrize("face", ["loop", "thread"])
def test_a_result_stored_while_the_connection_was_cut_is_found(own_server, face):
    drv = driver(own_server)
    if face == "thread":
        blocking = drv.blocking_backend()
        thread, outcome = in_thread(lambda: blocking.wait(["a"], 20))
    else:
        thread, outcome = in_thread(lambda: asyncio.run(drv.backend().wait(["a"], 20)))
    own_server.until_subscribed("celery-task-meta-a")

    own_server.in_one_step("CLIENT KILL TYPE pubsub", """SET celery-task-meta-a '{"status":"SUCCESS"}'""")

    thread.join(10)
    assert outcome[0][0].state == "SUCCESS"


@pytest.mark.parametrize("face", ["loop", "thread"])
def test_waits_do_not_outlive_a_server_that_stays_away(own_server, face):
    drv = driver(own_server, publish_timeout=2.0)
    if face == "thread":
        blocking = drv.blocking_backend()
        thread, outcome = in_thread(lambda: blocking.wait(["a"], 60))
    else:
        thread, outcome = in_thread(lambda: asyncio.run(drv.backend().wait(["a"], 60)))
    own_server.until_subscribed("celery-task-meta-a")

    own_server.kill()

    thread.join(10)
    assert isinstance(outcome[0], OperationalError), outcome
    assert "cannot reach Redis" in str(outcome[0])


@pytest.mark.parametrize("face", ["loop", "thread"])
def test_a_wait_that_is_over_while_redis_is_away_says_so(own_server, face):
    drv = driver(own_server)
    own_server.kill()
    began = time.monotonic()

    with pytest.raises(OperationalError, match="cannot reach Redis"):
        if face == "thread":
            drv.blocking_backend().wait(["a"], 0.3)
        else:
            asyncio.run(drv.backend().wait(["a"], 0.3))

    assert time.monotonic() - began < 3


@pytest.mark.parametrize("face", ["loop", "thread"])
def test_a_silent_server_is_given_up(own_server, face):
    """As behind a firewall that drops everything: the connection stands and no answer comes."""
    drv = driver(own_server, publish_timeout=1.0)

    async def twice() -> None:
        backend = drv.backend()
        await backend.get(["a"])
        own_server.freeze()
        await backend.store((success("a"),))

    def blocking() -> None:
        backend = drv.blocking_backend()
        backend.get(["a"])
        own_server.freeze()
        backend.store((success("a"),))

    began = time.monotonic()
    try:
        with pytest.raises(OperationalError, match="did not answer within 0.6 s"):
            asyncio.run(twice()) if face == "loop" else blocking()
        assert time.monotonic() - began < 4
        with pytest.raises(OperationalError, match="no answer within 0.4 s"):
            asyncio.run(drv.backend().get(["a"])) if face == "loop" else drv.blocking_backend().get(["a"])
    finally:
        own_server.thaw()


@pytest.mark.parametrize("face", ["loop", "thread"])
def test_a_wait_on_a_silent_server_is_given_up(own_server, face):
    drv = driver(own_server, publish_timeout=1.0)
    if face == "thread":
        blocking = drv.blocking_backend()
        thread, outcome = in_thread(lambda: blocking.wait(["a"], 60))
    else:
        thread, outcome = in_thread(lambda: asyncio.run(drv.backend().wait(["a"], 60)))
    own_server.until_subscribed("celery-task-meta-a")
    own_server.freeze()
    try:
        thread.join(15)
        assert isinstance(outcome[0], OperationalError), outcome
    finally:
        own_server.thaw()


def test_a_server_that_is_full_says_so(own_server):
    face = driver(own_server).blocking_backend()
    own_server.cli("CONFIG", "SET", "maxmemory", "100kb")

    with pytest.raises(OperationalError, match=r"OOM.*maxmemory is reached: give it more"):
        face.store((success("a"),))
    own_server.cli("CONFIG", "SET", "maxmemory", "0")
    assert face.store((success("a"),)) == (True,)
    face.close()


def test_a_replica_is_left_for_another_connection(own_server):
    async def main() -> None:
        backend = driver(own_server).backend()
        await backend.get(["a"])
        own_server.cli("REPLICAOF", "127.0.0.1", nobody())
        with pytest.raises(OperationalError, match=r"READONLY|MASTERDOWN"):
            await backend.store((success("a"),))
        own_server.cli("REPLICAOF", "NO", "ONE")
        assert await backend.store((success("a"),)) == (True,)
        assert int(own_server.info("total_connections_received")) >= 3
        await backend.close()

    asyncio.run(main())


def test_a_lost_message_hangs_nobody(server):
    """Written past the channel, as by a publisher without the right to publish."""

    async def main() -> None:
        backend = driver(server).backend()
        wait = asyncio.create_task(backend.wait(["a"], 20))
        await asyncio.to_thread(server.until_subscribed, "celery-task-meta-a")
        server.cli("SET", "celery-task-meta-a", '{"status":"SUCCESS"}')
        began = time.monotonic()
        assert (await asyncio.wait_for(wait, 5))[0].state == "SUCCESS"
        assert time.monotonic() - began < 1.5
        await backend.close()

    asyncio.run(main())
    face = driver(server).blocking_backend()
    thread, outcome = in_thread(lambda: face.wait(["b"], 20))
    server.until_subscribed("celery-task-meta-b")
    server.cli("SET", "celery-task-meta-b", '{"status":"SUCCESS"}')
    thread.join(5)
    assert outcome[0][0].state == "SUCCESS"
    face.close()
