"""Celery on RabbitMQ or Redis. As its manual starts it; `tuned` is the fastest setting found, `confirms` waits for the broker."""

from typing import Any

from celery import Celery
from common import BIN, body, main, option

RESULTS = option("results", "0")
BACKENDS = {"0": None, "rpc": "rpc://", "redis": option("redis_url", "")}
TUNED = option("tuned", "0") == "1"

app = Celery("p_celery", broker=option("broker_url", ""), backend=BACKENDS[RESULTS])
app.conf.task_ignore_result = RESULTS == "0"
if TUNED:
    app.conf.worker_prefetch_multiplier = 64
if option("confirms", "0") == "1":
    app.conf.broker_transport_options = {"confirm_publish": True}


@app.task
def add(x: int, y: Any) -> int:
    body()
    return x + 1


def purge() -> None:
    """The harness gives every run a fresh virtual host."""


def send(count: int, bulk: bool, payload: Any) -> None:
    """It has no bulk call; the nearest thing is to hold on to one producer."""
    if not bulk:
        for number in range(count):
            add.delay(number, payload)
        return
    with app.producer_or_acquire() as producer:
        for number in range(count):
            add.apply_async((number, payload), producer=producer)


def call(payload: Any) -> None:
    add.delay(1, payload).get(timeout=20)


def close() -> None:
    app.close()


def worker() -> list[str]:
    # Without -l: its default level, WARNING. No events, gossip, mingle or heartbeat when tuned.
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"] if TUNED else []
    pool = ["-P", option("pool", "prefork"), "-c", option("processes", "2")]
    return [str(BIN / "celery"), "-A", "p_celery", "worker", *pool, *quiet]


if __name__ == "__main__":
    main("p_celery")
