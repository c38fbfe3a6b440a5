"""Events on RabbitMQ: Celery's topic exchange. What is sent is not confirmed, goes to nobody where nobody is bound."""

import asyncio
import time
from collections.abc import Sequence

from leveret.errors import OperationalError
from leveret.links.amqp.address import Failover
from leveret.links.amqp.events.feed import AmqpFeed, Unconfirmed, exchange
from leveret.links.amqp.letters import Letter
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost
from leveret.links.amqp.protocol.properties import TRANSIENT, Properties, write_properties
from leveret.links.amqp.publisher import Publisher, follow, written
from leveret.links.amqp.sender import Sender
from leveret.links.amqp.sender import follow as follow_blocking
from leveret.model.telling.event import EventNames, Parcel


def letters(names: EventNames, parcels: Sequence[Parcel]) -> list[Letter]:
    return [Letter(names.exchange, parcel.key, _properties(parcel), parcel.body, False) for parcel in parcels]


def _properties(parcel: Parcel) -> bytes:
    return write_properties(
        Properties(
            content_type=parcel.content_type,
            content_encoding="utf-8",
            headers={"hostname": parcel.hostname},
            delivery_mode=TRANSIENT,
            # Kombu's producer writes it, and some consumers read it without asking.
            priority=0,
        )
    )


class AmqpEvents:
    """`ports.operations.events.EventBus`, on the connection that publishes anyway."""

    def __init__(self, publisher: Publisher, failover: Failover, names: EventNames, queue: str) -> None:
        """`queue` is what a watcher's own one is called behind the prefix."""
        self._publisher, self._failover, self._names, self._queue = publisher, failover, names, queue
        self._channel: Unconfirmed | None = None
        self._opening: asyncio.Lock | None = None

    async def send(self, parcels: tuple[Parcel, ...]) -> None:
        channel = self._channel
        if channel is None or channel.error is not None or channel.connection.error is not None:
            channel = await self._open()
        connection = channel.connection
        if connection.blocked is not None:
            raise OperationalError(f"{connection.address.shown} takes no messages: {connection.blocked}")
        connection.write(written(letters(self._names, parcels), channel.number, connection.frame_max))
        await connection.drain()

    async def watch(self, key: str) -> "AmqpFeed":
        feed = AmqpFeed(self._failover, self._names, f"{self._names.queue_prefix}.{self._queue}", key)
        await feed.open()
        return feed

    async def _open(self) -> Unconfirmed:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            channel = self._channel
            if channel is not None and channel.error is None and channel.connection.error is None:
                return channel
            try:
                connection = (await self._publisher.open()).connection
                await follow(connection, exchange(self._names))
                channel = Unconfirmed(connection)
                channel.number = await connection.channel(channel)
            except (ConnectionLost, ChannelClosed) as error:
                raise OperationalError(f"events cannot be sent: {error}") from error
            self._channel = channel
            return channel

    async def close(self) -> None:
        """The connection is the publisher's."""
        self._channel = None


class AmqpBlockingEvents:
    """`ports.operations.events.BlockingEventBus`: confirmed like all on the callers' connection; nobody need listen."""

    def __init__(self, sender: Sender, names: EventNames) -> None:
        self._sender, self._names = sender, names
        self._declared = False

    def send(self, parcels: tuple[Parcel, ...], timeout: float) -> None:
        if not self._declared:
            deadline = time.monotonic() + timeout
            follow_blocking(self._sender.wire(deadline).connection, exchange(self._names), deadline)
            self._declared = True
        self._sender.publish(letters(self._names, parcels), timeout)
