"""The nodes of one cluster, and the two pumps that carry verbs to them: to each as to a lone server."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from leveret.links.redis.blocking import Pool
from leveret.links.redis.cluster.journey import Leg, travel
from leveret.links.redis.cluster.slots import Atlas, slot_of
from leveret.links.redis.conversation import Command
from leveret.links.redis.hub import Hub
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.location import Endpoint, Location
from leveret.links.redis.refusals import Lost, Refusal, explain
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import Verb

T = TypeVar("T")


class Cluster:
    """What both faces share. Threads and loops write the atlas side by side: each change is whole, and at worst
    somebody is sent on once more."""

    def __init__(self, location: Location, channels: Channels, jitter: Callable[[], float]) -> None:
        self.location = location
        self._channels, self._jitter = channels, jitter
        self.atlas = Atlas(location.endpoints)
        self._hubs: dict[Endpoint, Hubs] = {}
        self._pools: dict[Endpoint, Pool] = {}

    # On a loop

    async def perform(self, verb: Verb[T]) -> T:
        """Carry out a verb whose commands are each about one slot."""
        try:
            commands = next(verb)
            while True:
                commands = verb.send(await self._travel(list(commands)))
        except StopIteration as stop:
            done: T = stop.value
            return done
        except Refusal as refusal:
            raise explain(refusal, self.location.shown) from refusal

    async def _travel(self, commands: Sequence[Command]) -> list[Any]:
        journey = travel(self.atlas, commands)
        try:
            legs = next(journey)
            while True:
                if isinstance(legs, float):
                    await asyncio.sleep(legs)
                    legs = next(journey)
                else:
                    legs = journey.send(list(await asyncio.gather(*map(self._go, legs))))
        except StopIteration as stop:
            answers: list[Any] = stop.value
            return answers

    async def _go(self, leg: Leg) -> list[Any] | Lost:
        node, commands = leg
        try:
            return await self.hub(node).perform(_ask(commands))
        except Lost as error:
            return error

    def hub(self, node: Endpoint) -> Hub:
        """The running loop's connection to a node."""
        hubs = self._hubs.get(node)
        if hubs is None:
            hubs = self._hubs.setdefault(node, Hubs(self._of(node), self._channels, self._jitter))
        return hubs.own()

    def close_loop(self) -> None:
        """Close the running loop's connections; they are opened again when used."""
        for hubs in tuple(self._hubs.values()):
            hubs.close()

    # On the calling thread

    def carry_out(self, verb: Verb[T]) -> T:
        """As `perform`."""
        try:
            commands = next(verb)
            while True:
                commands = verb.send(self._go_round(list(commands)))
        except StopIteration as stop:
            done: T = stop.value
            return done
        except Refusal as refusal:
            raise explain(refusal, self.location.shown) from refusal

    def _go_round(self, commands: Sequence[Command]) -> list[Any]:
        journey = travel(self.atlas, commands)
        try:
            legs = next(journey)
            while True:
                if isinstance(legs, float):
                    time.sleep(legs)
                    legs = next(journey)
                else:
                    legs = journey.send([self._visit(leg) for leg in legs])
        except StopIteration as stop:
            answers: list[Any] = stop.value
            return answers

    def _visit(self, leg: Leg) -> list[Any] | Lost:
        node, commands = leg
        try:
            return self.pool(node).perform(_ask(commands))
        except Lost as error:
            return error

    def pool(self, node: Endpoint) -> Pool:
        pool = self._pools.get(node)
        if pool is None:
            pool = self._pools.setdefault(node, Pool(self._of(node)))
        return pool

    def close(self) -> None:
        for pool in tuple(self._pools.values()):
            pool.close()

    # Both

    def near(self, key: str) -> Endpoint:
        """A node on which to listen to what is published about a key: its own, else any that is known. All are told."""
        return self.atlas.owner(slot_of(key)) or self.atlas.guides[0]

    def _of(self, node: Endpoint) -> Location:
        return replace(self.location, endpoints=(node,), shown=f"{self.location.shown} ({node})")


def _ask(commands: list[Command]) -> Verb[list[Any]]:
    answers = yield commands
    return list(answers)
