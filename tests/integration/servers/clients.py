"""A few AMQP words, said with the client that Celery uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import amqp


@contextmanager
def channel(port: int, vhost: str = "/", **options: Any) -> Iterator[amqp.Channel]:
    """Open a channel whose publishing waits for the confirm."""
    connection = amqp.Connection(
        f"127.0.0.1:{port}", "guest", "guest", virtual_host=vhost, confirm_publish=True, **options
    )
    try:
        connection.connect()
        yield connection.channel()
    finally:
        connection.collect()


def declare(channel: amqp.Channel, queue: str, kind: str = "classic") -> None:
    channel.queue_declare(queue, durable=True, auto_delete=False, arguments={"x-queue-type": kind})


def publish(channel: amqp.Channel, queue: str, body: str) -> None:
    channel.basic_publish(amqp.Message(body, delivery_mode=2), routing_key=queue, timeout=10)


def take(channel: amqp.Channel, queue: str) -> str | None:
    """Take the next message, if there is one."""
    message = channel.basic_get(queue, no_ack=True)
    return message and message.body
