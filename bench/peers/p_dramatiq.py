"""Dramatiq on RabbitMQ: two processes of its default eight threads; with fewer a task costs it more CPU."""

from typing import Any

import dramatiq
from common import BIN, body, main, option
from dramatiq.brokers.rabbitmq import RabbitmqBroker

broker = RabbitmqBroker(url=option("broker_url", ""), confirm_delivery=option("confirms", "0") == "1")
dramatiq.set_broker(broker)


@dramatiq.actor
def add(x: int, y: Any) -> None:
    body()


def purge() -> None:
    """The harness gives every run a fresh virtual host."""


def send(count: int, bulk: bool, payload: Any) -> None:
    """It has no bulk call."""
    for number in range(count):
        add.send(number, payload)


def close() -> None:
    broker.close()


def worker() -> list[str]:
    size = ["--processes", option("processes", "2"), "--threads", option("threads", "8")]
    return [str(BIN / "dramatiq"), "p_dramatiq", *size]


if __name__ == "__main__":
    main("p_dramatiq")
