"""Events as kombu has them on Redis: the exchange is a fanout, so each message is published on a channel of its own
key, and whoever watches subscribes to a pattern of them."""

import asyncio
from base64 import b64decode
from collections.abc import Callable, Sequence

import msgspec

from leveret.brokers.redis.kombu.exchanges import Exchanges
from leveret.errors import LeveretError
from leveret.links.hearing import Heard
from leveret.links.redis.blocking import Pool
from leveret.links.redis.hub import Hub
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.scripts import Verb, good
from leveret.model.telling.event import JSON_TYPE, EventNames, Parcel

LOOK_SECONDS = 1.0
"""How often a silent watcher sees that its connection is there."""


class Channels:
    """What is written where."""

    def __init__(self, exchanges: Exchanges, names: EventNames, new_id: Callable[[], str]) -> None:
        self._exchanges, self._exchange, self._new_id = exchanges, names.exchange, new_id

    def publish(self, parcels: Sequence[Parcel]) -> Verb[None]:
        answers = yield [
            ("PUBLISH", self._exchanges.channel(self._exchange, parcel.key), self._envelope(parcel))
            for parcel in parcels
        ]
        for answer in answers:
            good(answer)

    def pattern(self, key: str) -> bytes:
        """Redis's pattern for an AMQP topic; it may match more than that, which nobody minds."""
        glob = self._exchanges.channel(self._exchange, key).replace("#", "*")
        # Without keys in channel names (`fanout_patterns` false) there is one channel for all.
        return glob.encode()

    def _envelope(self, parcel: Parcel) -> bytes:
        """As `kombu.transport.virtual` writes it, but for the body, which is text: base64 takes a third of all that an
        event costs, and kombu reads either. No sequence is kept: the tag is only there because kombu reads it."""
        return msgspec.json.encode(
            {
                "body": parcel.body.decode(),
                "content-encoding": "utf-8",
                "content-type": parcel.content_type,
                "headers": {"hostname": parcel.hostname},
                "properties": {
                    "delivery_mode": 1,
                    "delivery_info": {"exchange": self._exchange, "routing_key": parcel.key},
                    "priority": 0,
                    "delivery_tag": self._new_id(),
                },
            }
        )


def opened(raw: bytes) -> Parcel | None:
    """What a message says, Celery's or ours; None for what is no message."""
    try:
        envelope = msgspec.json.decode(raw)
        properties, headers = envelope["properties"], envelope.get("headers") or {}
        body = envelope["body"]
        data = b64decode(body) if properties.get("body_encoding") == "base64" else body.encode()
        key = properties.get("delivery_info", {}).get("routing_key", "")
        return Parcel(str(key), data, str(headers.get("hostname", "")), str(envelope.get("content-type") or JSON_TYPE))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None


class RedisEvents:
    """`ports.operations.events.EventBus` on the connection that the loop has anyway."""

    def __init__(self, hubs: Hubs, channels: Channels) -> None:
        self._hubs, self._channels = hubs, channels

    async def send(self, parcels: tuple[Parcel, ...]) -> None:
        await self._hubs.own().perform(self._channels.publish(parcels))

    async def watch(self, key: str) -> "RedisFeed":
        hub = self._hubs.own()
        await hub.ready()
        return RedisFeed(hub, self._channels.pattern(key))

    async def close(self) -> None:
        return


class RedisFeed:
    """`ports.operations.events.EventFeed`."""

    def __init__(self, hub: Hub, pattern: bytes) -> None:
        self._hub, self._pattern = hub, pattern
        self._heard = Heard()
        hub.listen(pattern, self._hear)

    def _hear(self, raw: bytes) -> None:
        parcel = opened(raw)
        if parcel is not None:
            self._heard.add((parcel,))

    async def receive(self) -> tuple[Parcel, ...]:
        while not self._heard:
            try:
                await asyncio.wait_for(self._heard.news.wait(), LOOK_SECONDS)
            except TimeoutError:
                await self._look()
        return self._heard.take()

    async def _look(self) -> None:
        """The hub subscribes again on every connection it makes; somebody has to want one."""
        try:
            await self._hub.ready()
        except LeveretError:
            return

    async def close(self) -> None:
        self._hub.ignore(self._pattern)


class RedisBlockingEvents:
    """`ports.operations.events.BlockingEventBus`."""

    def __init__(self, pool: Pool, channels: Channels) -> None:
        self._pool, self._channels = pool, channels

    def send(self, parcels: tuple[Parcel, ...], timeout: float) -> None:
        with self._pool.borrowed(timeout) as connection:
            connection.carry_out(self._channels.publish(parcels))
