"""taskiq on Redis streams, which acknowledges after the run; results in Redis. Two processes, as its manual starts it."""

import asyncio
from typing import Any

from common import BIN, body, main, option
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

URL = option("broker_url", "")
broker = RedisStreamBroker(url=URL).with_result_backend(RedisAsyncResultBackend(URL))
AT_ONCE = 100


@broker.task(task_name="add")
async def add(x: int, y: Any) -> int:
    body()
    return x + 1


def purge() -> None:
    """The harness gives every run an empty Redis."""


def send(count: int, bulk: bool, payload: Any) -> None:
    """It has no bulk call; the nearest thing is to send many at once."""
    asyncio.run(_send(count, AT_ONCE if bulk else 1, payload))


async def _send(count: int, at_once: int, payload: Any) -> None:
    await broker.startup()
    for start in range(0, count, at_once):
        await asyncio.gather(*(add.kiq(number, payload) for number in range(start, min(count, start + at_once))))
    await broker.shutdown()


def call(payload: Any) -> None:
    LOOP.run_until_complete(_call(payload))


async def _call(payload: Any) -> None:
    if not STARTED:
        STARTED.append(await broker.startup())
    result = await add.kiq(1, payload)
    await result.wait_result(check_interval=0.0005, timeout=20)


LOOP = asyncio.new_event_loop()
STARTED: list[None] = []


def worker() -> list[str]:
    size = ["--workers", option("processes", "2"), "--log-level", "WARNING"]
    return [str(BIN / "taskiq"), "worker", "p_taskiq:broker", *size]


if __name__ == "__main__":
    main("p_taskiq")
