"""huey on SQLite or Redis, process workers. `quiet` turns its two log lines per task off."""

from typing import Any

from common import BIN, DATA, body, main, option
from huey import RedisHuey, SqliteHuey

URL, RESULTS = option("broker_url", ""), option("results", "1") == "1"
huey = (
    RedisHuey("bench", url=URL, results=RESULTS)
    if URL
    else SqliteHuey("bench", filename=str(DATA / "huey.db"), results=RESULTS, timeout=30)
)


@huey.task()
def add(x: int, y: Any) -> int:
    body()
    return x + 1


def purge() -> None:
    huey.flush()


def send(count: int, bulk: bool, payload: Any) -> None:
    """It has no bulk call."""
    for number in range(count):
        add(number, payload)


def call(payload: Any) -> None:
    add(1, payload).get(blocking=True, timeout=20, backoff=1, max_delay=0.0005)


def worker() -> list[str]:
    quiet = ["-q"] if option("quiet", "0") == "1" else []
    return [str(BIN / "huey_consumer"), "p_huey.huey", "-w", option("processes", "2"), "-k", "process", *quiet]


if __name__ == "__main__":
    main("p_huey")
