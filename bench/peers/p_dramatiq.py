"""Dramatiq on RabbitMQ or Redis: two processes of its default eight threads; with fewer a task costs it more CPU."""

from typing import Any

import dramatiq
from common import BIN, body, main, option

URL = option("broker_url", "")
RESULTS = option("results", "0") == "1"


def _broker() -> dramatiq.Broker:
    if URL.startswith("amqp"):
        from dramatiq.brokers.rabbitmq import RabbitmqBroker

        return RabbitmqBroker(url=URL, confirm_delivery=option("confirms", "0") == "1")
    from dramatiq.brokers.redis import RedisBroker

    return RedisBroker(url=URL)


broker = _broker()
if RESULTS:
    from dramatiq.results import Results
    from dramatiq.results.backends.redis import RedisBackend

    broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)


@dramatiq.actor(**({"store_results": True} if RESULTS else {}))
def add(x: int, y: Any) -> int | None:
    body()
    return x + 1 if RESULTS else None


def purge() -> None:
    """The harness gives every run a fresh virtual host."""


def send(count: int, bulk: bool, payload: Any) -> None:
    """It has no bulk call."""
    for number in range(count):
        add.send(number, payload)


def call(payload: Any) -> None:
    add.send(1, payload).get_result(block=True, timeout=20_000)


def close() -> None:
    broker.close()


def worker() -> list[str]:
    size = ["--processes", option("processes", "2"), "--threads", option("threads", "8")]
    return [str(BIN / "dramatiq"), "p_dramatiq", *size]


if __name__ == "__main__":
    main("p_dramatiq")
