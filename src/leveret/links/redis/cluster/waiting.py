"""Waiting for results of a cluster: what is published on one of its nodes is told on all, what is kept is on one."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from leveret.links.redis.blocking import Connection, Pool
from leveret.links.redis.cluster.nodes import Cluster
from leveret.links.redis.conversation import Command
from leveret.links.redis.hub import Hub
from leveret.links.redis.refusals import Lost
from leveret.links.redis.results.verbs import Verbs
from leveret.links.redis.results.waiting import Manner
from leveret.links.redis.results.watch import Watch
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import Verb
from leveret.logic.retry import reconnect_delay


def of_cluster(cluster: Cluster, verbs: Verbs, watch: Watch, channels: Channels, jitter: Callable[[], float]) -> Manner:
    """How a thread waits: it listens at one node, and looks where the keys are."""
    tries = count()

    def line() -> Pool:
        if next(tries):
            # The node it listened at may be gone for good.
            cluster.atlas.stale = True
        cluster.carry_out(_nothing())
        return cluster.pool(cluster.near(verbs.keys.document(watch.ids[0])))

    def look(connection: Connection, before: list[Command]) -> list[Any]:
        answers = connection.ask(before) if before else []
        return [*answers, cluster.carry_out(verbs.look(watch.ids))]

    seconds = cluster.location.answer_seconds
    return Manner(line=line, look=look, answer_seconds=seconds, channels=channels, jitter=jitter)


def _nothing() -> Verb[None]:
    """Asks for nothing but the slots, where they have to be asked for."""
    yield []


class Ears:
    """Who waits on one loop for what is said on which channel; `hub` is the loop's connection to one node."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._waiting: dict[bytes, list[Callable[[bytes, bytes], None]]] = {}

    def add(self, channel: bytes, ear: Callable[[bytes, bytes], None]) -> None:
        there = self._waiting.setdefault(channel, [])
        if not there:
            self._hub.listen(channel, partial(self._tell, channel))
        there.append(ear)

    def drop(self, channel: bytes, ear: Callable[[bytes, bytes], None]) -> None:
        there = self._waiting[channel]
        there.remove(ear)
        if not there:
            del self._waiting[channel]
            self._hub.ignore(channel)

    def _tell(self, channel: bytes, payload: bytes) -> None:
        for ear in tuple(self._waiting.get(channel, ())):
            ear(channel, payload)


class Waiting:
    """The waits on loops."""

    def __init__(self, cluster: Cluster, verbs: Verbs, channels: Channels, jitter: Callable[[], float]) -> None:
        self._cluster, self._verbs, self._channels, self._jitter = cluster, verbs, channels, jitter
        self._ears: WeakKeyDictionary[Hub, Ears] = WeakKeyDictionary()

    async def wait(self, watch: Watch, timeout: float) -> None:
        """Return when the watch is over or the time is; a broken node is tried for as long as an answer may take."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        end, failures, since = loop.time() + timeout, 0, loop.time()

        def hear(channel: bytes, payload: bytes) -> None:
            # Said by one node while another one is asked: its answer may be older.
            if watch.looking or watch.heard(channel, payload) or watch.over:
                news.set()

        places = await self._listen(watch, hear)
        try:
            while not watch.over:
                news.clear()
                watch.looking = True
                try:
                    watch.saw(await self._cluster.perform(self._verbs.look(watch.ids)))
                except Lost:
                    watch.lost()
                    failures += 1
                    if loop.time() >= end or loop.time() - since >= self._cluster.location.answer_seconds:
                        raise
                    await asyncio.sleep(reconnect_delay(failures, self._jitter()))
                    continue
                failures, since = 0, loop.time()
                if watch.over or since >= end:
                    return
                pause = watch.pause(self._channels.open) * (0.75 + self._jitter() / 2)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(min(since + pause, end)):
                        await news.wait()
        finally:
            for ears, channel in places:
                ears.drop(channel, hear)

    async def _listen(self, watch: Watch, ear: Callable[[bytes, bytes], None]) -> list[tuple[Ears, bytes]]:
        """Subscribe at each channel's node; who listens there has to be dropped."""
        with suppress(Lost):
            await self._cluster.perform(_nothing())
        places: list[tuple[Ears, bytes]] = []
        for channel in watch.channels:
            hub = self._cluster.hub(self._cluster.near(channel.decode()))
            ears = self._ears.get(hub)
            if ears is None:
                ears = self._ears[hub] = Ears(hub)
            ears.add(channel, ear)
            places.append((ears, channel))
        return places
