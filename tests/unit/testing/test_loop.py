import asyncio

import pytest

from leveret.testing.clock import SimClock
from leveret.testing.loop import Stuck, run_virtual


def test_a_long_sleep_takes_no_time():
    clock = SimClock()

    async def main():
        await asyncio.sleep(86_400)
        return clock.now() - clock.start

    assert run_virtual(main(), clock) == pytest.approx(86_400)


def test_timers_of_the_same_moment_fire_in_the_order_they_were_set():
    fired = []

    async def main():
        loop = asyncio.get_running_loop()
        for n in range(20):
            loop.call_at(5.0, fired.append, n)
        await asyncio.sleep(6)

    run_virtual(main(), SimClock())

    assert fired == list(range(20))


def test_a_cancelled_timer_does_not_fire():
    fired = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(1, fired.append, "kept")
        loop.call_later(1, fired.append, "cancelled").cancel()
        await asyncio.sleep(2)

    run_virtual(main(), SimClock())

    assert fired == ["kept"]


def test_timeouts_and_queues_work_on_virtual_time():
    async def main():
        queue = asyncio.Queue()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(queue.get(), 30)
        asyncio.get_running_loop().call_later(5, queue.put_nowait, "here")
        async with asyncio.timeout(10):
            return await queue.get()

    assert run_virtual(main(), SimClock()) == "here"


def test_waiting_for_nothing_is_an_error_and_not_a_hang():
    async def main():
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck):
        run_virtual(main(), SimClock())


def test_what_main_leaves_behind_is_cancelled():
    ended = []

    async def behind():
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("cancelled")

    async def main():
        asyncio.get_running_loop().create_task(behind(), name="left behind")
        await asyncio.sleep(1)

    run_virtual(main(), SimClock())

    assert ended == ["cancelled"]


def test_an_error_of_main_is_raised():
    async def main():
        await asyncio.sleep(1)
        raise KeyError("as written")

    with pytest.raises(KeyError, match="as written"):
        run_virtual(main(), SimClock())
