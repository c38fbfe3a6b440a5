"""A watcher on RabbitMQ: a queue of its own on Celery's topic exchange, which ends with it."""

import asyncio
from contextlib import suppress
from typing import Any

from leveret.errors import BrokerError, OperationalError
from leveret.links.amqp.address import Failover
from leveret.links.amqp.aio import AsyncConnection, Deaf, connect
from leveret.links.amqp.declaring import Steps
from leveret.links.amqp.protocol import methods
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.protocol.properties import read_properties
from leveret.links.amqp.publisher import follow
from leveret.links.hearing import Heard
from leveret.model.telling.event import JSON_TYPE, EventNames, Parcel

AGAIN_SECONDS = 0.5


def exchange(names: EventNames) -> Steps:
    """Declare it exactly as Celery does."""
    made = yield methods.Exchange.Declare(exchange=names.exchange, exchange_type="topic", durable=True)
    if isinstance(made, ChannelClosed):
        raise OperationalError(f"exchange {names.exchange!r}, for events: the broker refused: {made}") from made


def watchers_queue(names: EventNames, queue: str, key: str) -> Steps:
    """A queue for one watcher, bound to what matches `key`."""
    yield from exchange(names)
    arguments: dict[str, Any] = {}
    if names.queue_ttl is not None:
        arguments["x-message-ttl"] = int(names.queue_ttl * 1000)
    if names.queue_expires is not None:
        arguments["x-expires"] = int(names.queue_expires * 1000)
    for method in (
        methods.Queue.Declare(
            queue=queue,
            durable=names.queue_durable,
            exclusive=names.queue_exclusive,
            auto_delete=not names.queue_durable,
            arguments=arguments,
        ),
        methods.Queue.Bind(queue=queue, exchange=names.exchange, routing_key=key),
    ):
        made = yield method
        if isinstance(made, ChannelClosed):
            raise OperationalError(f"queue {queue!r}, for events: the broker refused: {made}") from made


def opened(message: Delivered) -> Parcel:
    properties = read_properties(message.properties)
    hostname = properties.headers.get("hostname")
    return Parcel(message.routing_key, message.body, str(hostname or ""), properties.content_type or JSON_TYPE)


class Unconfirmed(Deaf):
    """A channel without confirms."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.number = 0
        self.error: Exception | None = None

    def lost(self, error: Exception) -> None:
        self.error = error


class AmqpFeed(Unconfirmed):
    """`ports.operations.events.EventFeed`, on a connection of its own."""

    connection: AsyncConnection

    def __init__(self, failover: Failover, names: EventNames, queue: str, key: str) -> None:
        self._failover, self._names, self._queue, self._key = failover, names, queue, key
        self._heard = Heard()
        self.number, self.error = 0, None

    async def open(self) -> None:
        self.connection = await connect(self._failover)
        await follow(self.connection, watchers_queue(self._names, self._queue, self._key))
        self.error = None
        self.number = await self.connection.channel(self)
        await self.connection.call(self.number, methods.Basic.Consume(queue=self._queue, no_ack=True))

    def delivered(self, message: Delivered) -> None:
        self._heard.add((opened(message),))

    def cancelled(self, consumer: str) -> None:
        self.connection.fail(ConnectionLost("the queue for events was deleted"))

    def lost(self, error: Exception) -> None:
        self.error = error
        self._heard.news.set()

    async def receive(self) -> tuple[Parcel, ...]:
        while not self._heard:
            if self.error is not None:
                await self._again()
            await self._heard.news.wait()
            self._heard.news.clear()
        return self._heard.take()

    async def _again(self) -> None:
        while self.error is not None:
            try:
                self.connection.abort()
                await self.open()
            except (BrokerError, ConnectionLost, ChannelClosed):
                await asyncio.sleep(AGAIN_SECONDS)

    async def close(self) -> None:
        with suppress(Exception):
            await self.connection.close()
