"""What an operator asks of RabbitMQ, with the rights of an ordinary user and without the management plugin.

So some numbers are not known: what is delayed stands on a ladder that all queues share, and what is claimed only the
broker itself counts.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pamqp import commands

from leveret.links.amqp import declaring, letters, names
from leveret.links.amqp.address import Failover
from leveret.links.amqp.aio import AsyncConnection, Deaf, connect
from leveret.links.amqp.letters import RAW, Facts, Letter
from leveret.links.amqp.protocol import frames, methods
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.publisher import Publisher, follow
from leveret.model.delivery import DeadLetter, Place, QueueCounts, Whereabouts
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock

MOST_LOOKED_AT = 10_000
"""Dead letters one look goes through."""


class AmqpAdmin:
    """`ports.admin.Admin`; each call connects for itself, for operators come seldom."""

    def __init__(self, failover: Failover, options: DriverOptions, clock: Clock) -> None:
        self._failover, self._options, self._clock = failover, options, clock

    async def _known(self, connection: AsyncConnection) -> tuple[str, ...]:
        """The app's queues, and every queue that has, or had, a worker of ours."""
        topology = self._options.topology
        found = dict.fromkeys(tuple(topology.queues) or (topology.default_queue,))
        async with self._drawer(connection, names.INDEX) as drawer:
            found.update(dict.fromkeys(letter.queue for letter in drawer.letters))
        return tuple(found)

    async def declare(self, queues: tuple[str, ...]) -> None:
        publisher = Publisher(self._failover, self._options.topology, self._options.publish_timeout)
        try:
            await publisher.prepare(await publisher.open(), queues)
        finally:
            await publisher.close()

    async def counts(self, queues: tuple[str, ...] = ()) -> tuple[QueueCounts, ...]:
        async with self._connection() as connection:
            if queues:
                return tuple([await self._count(connection, queue) or _empty(queue) for queue in queues])
            known = [await self._count(connection, queue) for queue in await self._known(connection)]
            return tuple(counts for counts in known if counts is not None)

    async def _count(self, connection: AsyncConnection, queue: str) -> QueueCounts | None:
        """None where there is no such queue any more, and no dead letter of it."""
        ready = await follow(connection, declaring.look(queue))
        suspects = await follow(connection, declaring.look(names.suspects(queue)))
        dead = await follow(connection, declaring.look(names.dead(queue)))
        if ready is None and (dead is None or not dead.messages):
            return None
        return QueueCounts(
            queue=queue,
            ready=sum(found.messages for found in (ready, suspects) if found is not None),
            delayed=None,
            claimed=None,
            dead=0 if dead is None else dead.messages,
            consumers=0 if ready is None else ready.consumers,
        )

    async def find(self, ids: tuple[str, ...]) -> tuple[Whereabouts | None, ...]:
        """Only the dead letters can be looked through without taking anything away from a worker."""
        found: dict[str, Whereabouts] = {}
        async with self._connection() as connection:
            for queue in await self._known(connection):
                async with self._drawer(connection, names.dead(queue)) as drawer:
                    for letter in drawer.letters:
                        found[letter.id] = Whereabouts(place=Place.DEAD, queue=letter.queue, reason=letter.reason)
        return tuple(found.get(name) for name in ids)

    async def trace(self, id: str, depth: int) -> Whereabouts | None:
        """As `find`: a queue cannot be looked through without taking from its workers."""
        async with self._connection() as connection:
            for queue in await self._known(connection):
                async with self._drawer(connection, names.dead(queue)) as drawer:
                    for letter in drawer.letters:
                        if letter.id == id:
                            return _traced(letter)
        return None

    async def sample(self, limit: int) -> tuple[tuple[str, str], ...]:
        return ()

    async def delayed(self, queues: tuple[str, ...], limit: int) -> tuple[Whereabouts, ...]:
        """The queues of the ladder cannot be looked through: to take a message out is to begin its wait anew."""
        return ()

    async def purge(self, queues: tuple[str, ...]) -> int:
        total = 0
        async with self._connection() as connection:
            for queue in queues:
                for name in (queue, names.suspects(queue)):
                    if await follow(connection, declaring.look(name)) is not None:
                        answer = await follow(connection, declaring.one(methods.Queue.Purge(queue=name)))
                        total += answer.message_count
        return total

    async def dead(self, queue: str | None = None, limit: int = 100) -> tuple[DeadLetter, ...]:
        """Newest first."""
        found: list[DeadLetter] = []
        async with self._connection() as connection:
            for name in await self._known(connection) if queue is None else (queue,):
                async with self._drawer(connection, names.dead(name)) as drawer:
                    found += drawer.letters
        return tuple(sorted(found, key=lambda letter: letter.at, reverse=True)[:limit])

    async def redrive(self, ids: tuple[str, ...]) -> int:
        """Send them to their queues again, charges and counts cleared: published and confirmed, then taken out here."""
        wanted, total = frozenset(ids), 0
        publisher = Publisher(self._failover, self._options.topology, self._options.publish_timeout)
        try:
            async with self._connection() as connection:
                for queue in await self._known(connection):
                    async with self._drawer(connection, names.dead(queue)) as drawer:
                        again = [tag for tag, letter in drawer.by_tag.items() if letter.id in wanted]
                        await publisher.publish([drawer.again(tag, self._clock.now()) for tag in again])
                        drawer.remove(again)
                        total += len(again)
        finally:
            await publisher.close()
        return total

    async def bury(self, ids: tuple[str, ...]) -> int:
        wanted, total = frozenset(ids), 0
        async with self._connection() as connection:
            for queue in await self._known(connection):
                async with self._drawer(connection, names.dead(queue)) as drawer:
                    gone = [tag for tag, letter in drawer.by_tag.items() if letter.id in wanted]
                    drawer.remove(gone)
                    total += len(gone)
        return total

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        connection = await connect(self._failover)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def _drawer(self, connection: AsyncConnection, queue: str) -> AsyncIterator["Drawer"]:
        drawer = Drawer(connection, queue)
        if await follow(connection, declaring.look(queue)) is not None:
            await drawer.open()
        try:
            yield drawer
        finally:
            await drawer.close()


def _traced(letter: DeadLetter) -> Whereabouts:
    return Whereabouts(
        place=Place.DEAD, queue=letter.queue, reason=letter.reason, since=letter.at or None, encoded=letter.encoded,
        charges=letter.charges,
    )  # fmt: skip


def _empty(queue: str) -> QueueCounts:
    return QueueCounts(queue=queue, delayed=None, claimed=None, consumers=0)


class Drawer(Deaf):
    """The messages of one queue of ours, taken out to be looked at; what is not removed goes back to its old place when
    the channel closes."""

    def __init__(self, connection: AsyncConnection, queue: str) -> None:
        self._connection, self._queue = connection, queue
        self._channel = 0
        self._messages: dict[int, Delivered] = {}
        self.by_tag: dict[int, DeadLetter] = {}

    @property
    def letters(self) -> list[DeadLetter]:
        """Oldest first."""
        return list(self.by_tag.values())

    async def open(self) -> None:
        self._channel = await self._connection.channel(self)
        while len(self._messages) < MOST_LOOKED_AT:
            message = await self._connection.call(self._channel, methods.Basic.Get(queue=self._queue))
            if message is None:
                return
            self._messages[message.tag] = message
            self.by_tag[message.tag] = dead_letter(message, self._queue.removeprefix(names.DEAD_PREFIX))

    def again(self, tag: int, now: float) -> Letter:
        """The message as it was first sent, for its queue; `now` says until when its past is forgiven."""
        message, letter = self._messages[tag], self.by_tag[tag]
        try:
            encoded, _, read = letters.read(message.properties, message.body)
        except ProtocolError:
            return Letter("", letter.queue, message.properties, message.body, True, letter.queue)
        raw = read.headers.get(RAW)
        properties = raw if isinstance(raw, bytes) else letters.rewritten(read, encoded, Facts(at=now))
        return Letter("", letter.queue, properties, message.body, True, letter.queue)

    def remove(self, tags: list[int]) -> None:
        for tag in tags:
            self._connection.write(frames.ack(self._channel, tag))
            del self._messages[tag], self.by_tag[tag]

    async def close(self) -> None:
        if self._channel and self._connection.error is None:
            await self._connection.call(self._channel, commands.Channel.Close(200, "", 0, 0))


def dead_letter(message: Delivered, queue: str) -> DeadLetter:
    encoded, facts, read = letters.read(message.properties, message.body)
    name = encoded.headers.get("id") or read.correlation_id
    return DeadLetter(
        id=name if name and isinstance(name, str) else f"{queue}/{message.tag}",
        queue=facts.queue or queue,
        reason=facts.reason or facts.broker_reason or "unknown",
        at=facts.at,
        encoded=encoded,
        charges=facts.charges,
    )
