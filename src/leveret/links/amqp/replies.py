"""The result-store faces of RabbitMQ: outcomes are messages to the caller's reply queue. There is no fence here, and
nobody but the caller can read them: what needs a store that remembers is refused by name."""

import asyncio
import time
from collections.abc import Callable, Sequence

from pamqp import commands

from leveret.errors import BrokerError, ImproperlyConfigured
from leveret.links.amqp.aio import AsyncConnection
from leveret.links.amqp.protocol import frames
from leveret.links.amqp.protocol.errors import ConnectionLost
from leveret.links.amqp.protocol.events import Confirmed, Delivered, Returned
from leveret.links.amqp.publisher import Lines, Publisher, follow
from leveret.links.amqp.replybox import PREFETCH, ReplyBox, over, reply
from leveret.links.amqp.sender import Sender, Wire
from leveret.links.amqp.sender import follow as follow_blocking
from leveret.model.settlement import Joined, Record, Seat

Records = tuple[Record | None, ...]
_SLICE = 0.05
_RETRY = 0.2
_JOINS = (
    "rpc:// keeps nothing that members of a chord could meet in: set result_backend to a store that remembers "
    "(Redis, PostgreSQL, SQLite)"
)


class AsyncReplies:
    """`ports.backend.Backend` on one loop."""

    def __init__(self, publisher: Publisher, box: ReplyBox, *, persistent: bool) -> None:
        self._publisher, self._box, self._persistent = publisher, box, persistent
        self._reader: _Reader | None = None
        self._opening: asyncio.Lock | None = None

    async def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        """Send each to who waits for it, confirmed. Nothing is refused: nobody remembers what was there."""
        letters = [reply(one, self._persistent) for one in records if one.reply_to and not one.tombstone]
        if letters:
            await self._publisher.publish(letters)
        return (True,) * len(records)

    async def get(self, ids: Sequence[str]) -> Records:
        if self._box.faces and ids:
            await self.consume()
        return self._box.look(ids)

    async def wait(self, ids: Sequence[str], timeout: float) -> Records:
        loop = asyncio.get_running_loop()
        before = self._box.look(ids)
        end = loop.time() + timeout
        news = asyncio.Event()

        def ring() -> None:
            # Another face's thread may be the one that read it.
            loop.call_soon_threadsafe(news.set)

        self._box.listen(ring)
        try:
            while not over(found := self._box.look(ids), before) and (left := end - loop.time()) > 0:
                news.clear()
                reader = await self._try_consume()
                if over(found := self._box.look(ids), before):
                    break
                try:
                    await asyncio.wait_for(news.wait(), left if reader else min(left, _RETRY))
                except TimeoutError:
                    continue
            return found
        finally:
            self._box.unlisten(ring)

    async def arrive(self, seats: tuple[Seat, ...]) -> tuple[Joined, ...]:
        raise ImproperlyConfigured(_JOINS)

    async def forget(self, ids: Sequence[str]) -> None:
        self._box.forget(ids)

    async def close(self) -> None:
        """The publisher's connection carries the replies; closing it ends this too."""
        if self._reader is not None:
            self._reader.end()

    async def _try_consume(self) -> bool:
        try:
            await self.consume()
        except BrokerError:
            return False
        return True

    async def consume(self) -> None:
        """Declare the reply queue and consume it on the publisher's connection; again when that was lost."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._reader is not None and self._reader.alive:
                return
            lines = await self._publisher.open()
            self._reader = await _Reader.begin(lines, self._box)


class _Reader:
    """The consumer of one reply queue, a `ChannelOwner`."""

    def __init__(self, connection: AsyncConnection, box: ReplyBox) -> None:
        self._connection, self._box = connection, box
        self._channel = 0
        self.alive = True
        box.faces += 1

    @classmethod
    async def begin(cls, lines: Lines, box: ReplyBox) -> "_Reader":
        connection = lines.connection
        await follow(connection, box.declare())
        reader = cls(connection, box)
        reader._channel = await connection.channel(reader)
        connection.post(reader._channel, commands.Basic.Qos(prefetch_count=PREFETCH, global_=False))
        await connection.call(reader._channel, commands.Basic.Consume(queue=box.name, consumer_tag="replies"))
        connection_lost = connection.on_lost

        def lost() -> None:
            reader.end()
            # Who waits must consume anew, on a new connection.
            box.ring()
            connection_lost()

        connection.on_lost = lost
        return reader

    def delivered(self, message: Delivered) -> None:
        self._box.take(message)
        self._connection.write(frames.ack(self._channel, message.tag))

    def confirmed(self, confirm: Confirmed) -> None:
        return

    def returned(self, message: Returned) -> None:
        return

    def cancelled(self, consumer: str) -> None:
        self.lost(ConnectionLost("the reply queue was deleted"))

    def lost(self, error: Exception) -> None:
        self.end()
        self._box.ring()

    def end(self) -> None:
        if self.alive:
            self.alive = False
            self._box.faces -= 1


class BlockingReplies:
    """`ports.backend.BlockingBackend` on the callers' own threads and the process's own connection."""

    def __init__(self, sender: Sender, box: ReplyBox, timeout: float, *, persistent: bool) -> None:
        self._sender, self._box, self._timeout, self._persistent = sender, box, timeout, persistent
        self._face = ""
        """The name of the box that counts us among its faces; another one after a fork."""

    def get(self, ids: Sequence[str]) -> Records:
        """What has arrived. What stands in the queue and in the socket is read first."""
        if ids and self._box.faces:
            deadline = time.monotonic() + self._timeout
            wire = self._consume(deadline)
            first = self._box.look(ids)
            wire.connection.wait(lambda: over(self._box.look(ids), first), time.monotonic() + 0.001)
        return self._box.look(ids)

    def wait(self, ids: Sequence[str], timeout: float) -> Records:
        before = self._box.look(ids)
        end = time.monotonic() + timeout
        ended: Callable[[], bool] = lambda: over(self._box.look(ids), before)  # noqa: E731
        while not ended() and (left := end - time.monotonic()) > 0:
            try:
                wire = self._consume(end)
            except BrokerError:
                # A broker that restarts: the reply queue waits for us for five minutes.
                time.sleep(min(left, _RETRY))
                continue
            # Alone, our own socket says all; beside a loop's connection the result may come out there.
            limit = end if self._box.faces <= 1 else min(end, time.monotonic() + _SLICE)
            _hear(wire, ended, limit)
        return self._box.look(ids)

    def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        letters = [reply(one, self._persistent) for one in records if one.reply_to and not one.tombstone]
        if letters:
            self._sender.publish(letters, self._timeout)
        self._box.keep([one for one in records if not one.reply_to])
        return (True,) * len(records)

    def forget(self, ids: Sequence[str]) -> None:
        self._box.forget(ids)

    def close(self) -> None:
        if self._face == self._box.name:
            self._box.faces -= 1
        self._face = ""
        self._sender.close()

    def prepare(self, wire: Wire, deadline: float) -> None:
        """See that the reply queue is there and consumed before a message names it."""
        if not self._is_consumed(wire):
            with self._sender.opening(deadline):
                self._begin(wire, deadline)

    def _is_consumed(self, wire: Wire) -> bool:
        return bool(wire.reply_channel) and wire.reply_queue == self._box.name

    def _begin(self, wire: Wire, deadline: float) -> None:
        if self._is_consumed(wire):
            return
        box = self._box
        follow_blocking(wire.connection, box.declare(), deadline)
        channel = wire.connection.open_channel(deadline)
        connection = wire.connection

        def take(message: Delivered) -> None:
            box.take(message)
            connection.owe(frames.ack(channel, message.tag))

        connection.on_delivered = take
        connection.call(channel, commands.Basic.Qos(prefetch_count=PREFETCH, global_=False), deadline)
        connection.call(channel, commands.Basic.Consume(queue=box.name, consumer_tag="replies"), deadline)
        wire.reply_channel, wire.reply_queue = channel, box.name
        if self._face != box.name:
            box.faces += 1
        self._face = box.name

    def _consume(self, deadline: float) -> Wire:
        wire = self._sender.wire(deadline)
        self.prepare(wire, deadline)
        return wire


def _hear(wire: Wire, ended: Callable[[], bool], limit: float) -> None:
    """Until then, or until the replies must be consumed anew."""
    wire.connection.wait(lambda: ended() or not wire.reply_channel, limit)
