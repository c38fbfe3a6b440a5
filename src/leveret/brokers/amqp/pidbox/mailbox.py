"""Remote control as kombu has it on RabbitMQ (`kombu/pidbox.py`): a fanout exchange with a queue for each node, a
direct one with a queue for each asker."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from pamqp import commands

from leveret.errors import BrokerError, OperationalError
from leveret.links.amqp.address import Failover
from leveret.links.amqp.aio import AsyncConnection, Deaf, connect
from leveret.links.amqp.declaring import LOCKED, Steps
from leveret.links.amqp.protocol import frames, methods
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost, ProtocolError
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.protocol.properties import TRANSIENT, Properties, read_properties, write_properties
from leveret.links.amqp.publisher import follow
from leveret.logic.remote.wire import exchange_of, reply_exchange_of, reply_queue_of
from leveret.logic.retry import reconnect_delay
from leveret.model.options import ControlOptions
from leveret.model.remote.command import Parcel
from leveret.ports.clock import Clock
from leveret.ports.operations.mailbox import Hear

log = logging.getLogger("leveret.amqp")

REPLY_EXPIRES_SECONDS = 10.0
"""As kombu declares queues of answers; the same name declared otherwise would be refused."""


class AmqpMailbox:
    """`ports.operations.mailbox.Mailbox`, on a connection of its own: a listener's must not end with a worker's."""

    def __init__(self, failover: Failover, options: ControlOptions, clock: Clock) -> None:
        self._failover, self._options, self._clock = failover, options, clock
        self._line: Line | None = None
        self._opening: asyncio.Lock | None = None

    async def listen(self, node: str, hear: Hear) -> None:
        failures = 0
        while True:
            try:
                line = await self._open()
                await self._consume(line, node, hear)
                failures = 0
                await line.over.wait()
            except BrokerError as error:
                failures += 1
                log.log(logging.WARNING if failures == 1 else logging.DEBUG, "remote control is out: %s", error)
            await asyncio.sleep(reconnect_delay(failures + 1, self._clock.jitter()))

    async def _consume(self, line: "Line", node: str, hear: Hear) -> None:
        namespace, options = self._options.namespace, self._options
        queue = f"{node}.{exchange_of(namespace)}"
        connection = line.connection
        for name in (queue, f"{node}.{uuid4()}.{exchange_of(namespace)}"):
            taken = await follow(connection, _node_queue(name, exchange_of(namespace), options))
            if not taken:
                # A namesake, perhaps a Celery worker, has the queue of that name; both should hear.
                continue
            await line.consume(name, hear)
            return

    async def broadcast(self, parcels: tuple[Parcel, ...]) -> None:
        line = await self._open()
        await self._send(line, exchange_of(self._options.namespace), "", parcels)

    async def answer(self, address: str, parcels: tuple[Parcel, ...]) -> None:
        line = await self._open()
        await self._send(line, reply_exchange_of(self._options.namespace), address, parcels)

    async def _send(self, line: "Line", exchange: str, key: str, parcels: tuple[Parcel, ...]) -> None:
        """Sent when the broker has taken what stands behind them on the channel."""
        for parcel in parcels:
            line.publish(exchange, key, parcel)
        await line.heard()

    @asynccontextmanager
    async def inbox(self) -> "AsyncIterator[AmqpInbox]":
        line, address = await self._open(), str(uuid4())
        exchange = reply_exchange_of(self._options.namespace)
        queue = reply_queue_of(self._options.namespace, address)
        inbox = AmqpInbox(address, line)
        await follow(line.connection, _reply_queue(queue, exchange, address))
        channel = await line.consume(queue, inbox.put)
        try:
            yield inbox
        finally:
            # It deletes itself with its consumer.
            line.end_channel(channel)

    async def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            await line.connection.close()

    async def _open(self) -> "Line":
        """The connection, with both exchanges declared."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._line is None or self._line.over.is_set():
                connection = await connect(self._failover)
                try:
                    await follow(connection, _exchanges(self._options.namespace))
                    self._line = await Line.begin(connection)
                except BaseException:
                    connection.abort()
                    raise
            return self._line


class Line:
    """One connection: a channel to send on, and one for each queue that is consumed."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.over = asyncio.Event()
        """Set when it is gone, or its sending channel is."""
        self._channel = 0
        connection.on_lost = self.over.set

    @classmethod
    async def begin(cls, connection: AsyncConnection) -> "Line":
        line = cls(connection)
        line._channel = await connection.channel(_Ear(lambda message: None, line.over.set))
        return line

    async def consume(self, queue: str, hear: Hear) -> int:
        """Tell `hear` what comes; answers the channel."""
        ear = _Ear(hear, self.over.set)
        channel = await self.connection.channel(ear)
        await self.connection.call(channel, methods.Basic.Consume(queue=queue, no_ack=True))
        return channel

    def end_channel(self, channel: int) -> None:
        if self.connection.error is None:
            self.connection.post(channel, commands.Channel.Close(200, "", 0, 0))

    def publish(self, exchange: str, key: str, parcel: Parcel) -> None:
        properties = write_properties(
            Properties(
                content_type=parcel.content_type,
                content_encoding="utf-8",
                headers=parcel.headers,
                delivery_mode=TRANSIENT,
            )
        )
        connection = self.connection
        if connection.error is not None:
            raise ConnectionLost(str(connection.error)) from connection.error
        connection.write(
            frames.publish_method(self._channel, exchange, key, mandatory=False)
            + frames.content(self._channel, properties, parcel.body, connection.frame_max)
        )

    async def heard(self) -> None:
        """Return when the broker has dealt with all that was sent: it answers in order."""
        try:
            await self.connection.call(self._channel, commands.Basic.Qos(prefetch_count=0, global_=False))
        except ChannelClosed as error:
            raise OperationalError(f"a command was refused: {error}") from error


class AmqpInbox:
    """`ports.operations.mailbox.Inbox`."""

    def __init__(self, address: str, line: Line) -> None:
        self.address, self._line = address, line
        self._parcels: list[Parcel] = []
        self._news = asyncio.Event()

    def put(self, parcel: Parcel) -> None:
        self._parcels.append(parcel)
        self._news.set()

    async def take(self, timeout: float) -> tuple[Parcel, ...]:
        if not self._parcels:
            self._news.clear()
            over = asyncio.ensure_future(self._line.over.wait())
            news = asyncio.ensure_future(self._news.wait())
            try:
                await asyncio.wait((news, over), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                if over.done() and not self._parcels:
                    raise ConnectionLost(str(self._line.connection.error))
            finally:
                over.cancel()
                news.cancel()
        taken, self._parcels = tuple(self._parcels), []
        return taken


class _Ear(Deaf):
    """What comes goes on, and the end is told."""

    def __init__(self, hear: Hear, over: Callable[[], None]) -> None:
        self._hear, self._over = hear, over

    def delivered(self, message: Delivered) -> None:
        try:
            properties = read_properties(message.properties)
        except ProtocolError:
            return
        self._hear(
            Parcel(body=message.body, headers=properties.headers, content_type=properties.content_type or "unknown")
        )

    def cancelled(self, consumer: str) -> None:
        self._over()

    def lost(self, error: Exception) -> None:
        self._over()


def _exchanges(namespace: str) -> Steps:
    yield from _exchange(exchange_of(namespace), "fanout")
    yield from _exchange(reply_exchange_of(namespace), "direct")


def _exchange(name: str, kind: str) -> Steps:
    """As kombu declares it; one that is there is taken as it is."""
    made = yield methods.Exchange.Declare(exchange=name, exchange_type=kind, durable=False)
    if isinstance(made, ChannelClosed):
        found = yield methods.Exchange.Declare(exchange=name, exchange_type=kind, passive=True)
        if isinstance(found, ChannelClosed):
            raise OperationalError(f"exchange {name!r}: the broker refused: {made}") from made


def _node_queue(name: str, exchange: str, options: ControlOptions) -> Steps:
    """False where somebody else has it for himself."""
    arguments: dict[str, Any] = {}
    if options.queue_expires is not None:
        arguments["x-expires"] = int(options.queue_expires * 1000)
    if options.queue_ttl is not None:
        arguments["x-message-ttl"] = int(options.queue_ttl * 1000)
    made = yield methods.Queue.Declare(
        queue=name,
        durable=options.durable,
        exclusive=options.exclusive,
        auto_delete=not options.durable,
        arguments=arguments,
    )
    if isinstance(made, ChannelClosed):
        if made.code == LOCKED:
            return False
        raise OperationalError(f"queue {name!r}: the broker refused: {made}") from made
    yield from _bound(name, exchange, "")
    return True


def _reply_queue(name: str, exchange: str, key: str) -> Steps:
    made = yield methods.Queue.Declare(
        queue=name, exclusive=True, auto_delete=True, arguments={"x-expires": int(REPLY_EXPIRES_SECONDS * 1000)}
    )
    if isinstance(made, ChannelClosed):
        raise OperationalError(f"queue {name!r}: the broker refused: {made}") from made
    yield from _bound(name, exchange, key)


def _bound(queue: str, exchange: str, key: str) -> Steps:
    done = yield methods.Queue.Bind(queue=queue, exchange=exchange, routing_key=key)
    if isinstance(done, ChannelClosed):
        raise OperationalError(f"queue {queue!r} cannot be bound to {exchange!r}: {done}") from done
