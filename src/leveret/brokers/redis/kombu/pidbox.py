"""Remote control as kombu has it in Redis: commands on a channel, answers in lists that a table of bindings names."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import msgspec

from leveret.brokers.redis.kombu.exchanges import Exchanges
from leveret.errors import BrokerError
from leveret.links.redis import envelope
from leveret.links.redis.conversation import Command
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.location import Location
from leveret.links.redis.loop import LoopConnection, connect
from leveret.links.redis.names import SEPARATOR, Names
from leveret.links.redis.refusals import Refusal, explain
from leveret.links.redis.scripts import Verb, good
from leveret.logic.remote.wire import exchange_of, reply_exchange_of, reply_queue_of
from leveret.model.remote.command import Parcel
from leveret.ports.clock import Clock
from leveret.ports.operations.mailbox import Hear

ANSWER_SECONDS = 60
"""How long an answer lies in a list that nobody empties: whoever asked may be gone."""
BINDING_SECONDS = 3600.0
"""As kombu: for so long a table of bindings is not swept away (`_kombu.binding_deadlines`)."""
LOOK_SECONDS = 1.0
"""One look for answers; a connection on which nothing is heard for long is taken for dead."""
AT_ONCE = 1000
_DEADLINES = "_kombu.binding_deadlines"


class RedisMailbox:
    """`ports.operations.mailbox.Mailbox`. Listening shares the connection of its loop; each asker has one of his own,
    which blocks while there is no answer."""

    def __init__(self, hubs: Hubs, location: Location, exchanges: Exchanges, namespace: str, clock: Clock) -> None:
        self._hubs, self._location, self._namespace, self._clock = hubs, location, namespace, clock
        self._names: Names = exchanges.names
        self._channel = exchanges.broadcast(exchange_of(namespace))

    async def listen(self, node: str, hear: Hear) -> None:
        """What else is asked on this loop, the lease's renewal every few seconds, makes a lost connection anew."""
        hub = self._hubs.own()
        channel = self._channel.encode()

        def heard(raw: bytes) -> None:
            parcel = read(raw, self._names)
            if parcel is not None:
                hear(parcel)

        hub.listen(channel, heard)
        try:
            with suppress(BrokerError):
                await hub.ready()
            await asyncio.get_running_loop().create_future()
        finally:
            hub.ignore(channel)

    async def broadcast(self, parcels: tuple[Parcel, ...]) -> None:
        await self._hubs.own().perform(self._publish(parcels))

    def _publish(self, parcels: tuple[Parcel, ...]) -> Verb[None]:
        exchange = exchange_of(self._namespace)
        answers = yield [("PUBLISH", self._channel, write(parcel, exchange, "")) for parcel in parcels]
        for answer in answers:
            good(answer)

    @asynccontextmanager
    async def inbox(self) -> "AsyncIterator[RedisInbox]":
        hub, address = self._hubs.own(), str(uuid4())
        queue = reply_queue_of(self._namespace, address)
        exchange = reply_exchange_of(self._namespace)
        table = self._names.key(f"_kombu.binding.{exchange}")
        member = SEPARATOR.join((address, "", queue))
        deadline = int((self._clock.now() + BINDING_SECONDS) * 1000)
        await hub.perform(
            _all([("SADD", table, member), ("ZADD", self._names.key(_DEADLINES), "GT", deadline, exchange)])
        )
        connection = await connect(self._location)
        try:
            yield RedisInbox(connection, address, self._names.key(queue), self._names, self._location.shown)
        finally:
            connection.close()
            with suppress(BrokerError):
                await hub.perform(_all([("SREM", table, member), ("DEL", self._names.key(queue))]))

    async def answer(self, address: str, parcels: tuple[Parcel, ...]) -> None:
        await self._hubs.own().perform(self._answer(address, parcels))

    def _answer(self, address: str, parcels: tuple[Parcel, ...]) -> Verb[None]:
        """Into the queue that is bound for the address; where the table was evicted, into the one that kombu would have
        bound. None but a queue of answers: the table may name any."""
        exchange = reply_exchange_of(self._namespace)
        answers = yield [("SMEMBERS", self._names.key(f"_kombu.binding.{exchange}"))]
        bound = [member.decode(errors="replace").split(SEPARATOR) for member in good(answers[0])]
        found = [row[2] for row in bound if len(row) == 3 and row[0] == address and row[2].endswith(exchange)]
        key = self._names.key(found[0] if found else reply_queue_of(self._namespace, address))
        raws = [write(parcel, exchange, address) for parcel in parcels]
        yield [("LPUSH", key, *raws), ("PEXPIRE", key, ANSWER_SECONDS * 1000)]

    async def close(self) -> None:
        self._hubs.close()


class RedisInbox:
    """`ports.operations.mailbox.Inbox`: a list, on a connection that waits at it."""

    def __init__(self, connection: LoopConnection, address: str, key: str, names: Names, shown: str) -> None:
        self._connection, self._key, self._names, self._shown = connection, key, names, shown
        self.address = address

    async def take(self, timeout: float) -> tuple[Parcel, ...]:
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        while (left := end - loop.time()) > 0:
            # Redis counts in hundredths: less than one would mean to wait for ever.
            (found,) = await self._connection.ask([("BRPOP", self._key, f"{max(min(left, LOOK_SECONDS), 0.01):.3f}")])
            if type(found) is Refusal:
                raise explain(found, self._shown)
            if found is not None:
                (more,) = await self._connection.ask([("RPOP", self._key, AT_ONCE)])
                raws = [found[1], *(good(more) or ())]
                return tuple(parcel for raw in raws if (parcel := read(raw, self._names)) is not None)
        return ()


def write(parcel: Parcel, exchange: str, routing_key: str) -> bytes:
    """Kombu's envelope; it reads some of these without asking whether they are there."""
    return msgspec.json.encode(
        {
            "body": parcel.body,
            "content-encoding": "utf-8",
            "content-type": parcel.content_type,
            "headers": dict(parcel.headers),
            "properties": {
                "delivery_mode": 1,
                "delivery_info": {"exchange": exchange, "routing_key": routing_key},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    )


def read(raw: bytes, names: Names) -> Parcel | None:
    found = envelope.encoded(envelope.read(raw), raw, names)
    if found.content_type == envelope.UNREADABLE:
        return None
    return Parcel(body=found.body, headers=found.headers, content_type=found.content_type)


def _all(commands: list[Command]) -> Verb[None]:
    answers = yield commands
    for answer in answers:
        good(answer)
