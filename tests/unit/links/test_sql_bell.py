import asyncio
import gc
import os
import threading
import warnings

import pytest

from leveret.links.sql.bell import Bell, Ringer, port_of
from leveret.links.sql.database import Database


@pytest.fixture
def bell():
    bell = Bell()
    yield bell
    bell.close()


@pytest.fixture
def ringer():
    ringer = Ringer()
    yield ringer
    ringer.close()


@pytest.mark.parametrize(
    "address",
    ["", "reply-queue", "udp://10.0.0.1:53", "udp://127.0.0.1:", "udp://127.0.0.1:0", "udp://127.0.0.1:70000"],
)
def test_only_the_loopback_is_rung(address):
    assert port_of(address) is None


def test_a_ring_before_the_wait_is_not_missed(bell, ringer):
    heard = bell.generation

    ringer.ring([bell.address])

    bell.wait(heard, 10)
    assert bell.generation != heard


def test_every_waiting_thread_hears_one_ring(bell, ringer):
    heard, woken = bell.generation, []

    def wait():
        bell.wait(heard, 10)
        woken.append(bell.generation != heard)

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    ringer.ring([bell.address])
    for thread in threads:
        thread.join(5)

    assert woken == [True] * 4


async def _both(bell, ringer):
    heard = bell.generation
    waits = [asyncio.create_task(bell.listen(heard, 10)) for _ in range(3)]
    await asyncio.sleep(0)
    ringer.ring([bell.address])
    await asyncio.wait_for(asyncio.gather(*waits), 5)
    return bell.generation != heard


def test_every_waiting_coroutine_hears_one_ring(bell, ringer):
    assert asyncio.run(_both(bell, ringer))
    assert asyncio.run(_both(bell, ringer)), "and in the next loop too"


def test_a_wait_without_a_ring_ends(bell):
    bell.wait(bell.generation, 0.01)
    asyncio.run(bell.listen(bell.generation, 0.01))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_closes_the_bells_it_inherited(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/queue.db", 5.0)
    database.ringer.ring([database.reply_bell().address])
    # What other tests left behind is not the child's.
    gc.collect()
    child = os.fork()
    if child == 0:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            database.ringer.ring([database.reply_bell().address])
            gc.collect()
        os._exit(len(heard))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    database.close()
