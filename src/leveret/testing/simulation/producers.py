"""Those who send: callers that resend until they have an answer, and schedulers that all fire the same moments."""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from leveret.brokers.memory import MemoryDriver
from leveret.errors import BrokerError
from leveret.testing.faults import Wire
from leveret.testing.simulation.work import Work, fire

if TYPE_CHECKING:
    from leveret.testing.simulation.world import World

RESTART_SECONDS = 0.5


class Marks:
    """Which moments of the schedule have been fired; durable, shared by the schedulers."""

    def __init__(self) -> None:
        self.done: set[float] = set()

    async def marked(self) -> frozenset[float]:
        return frozenset(self.done)

    async def mark(self, moment: float) -> None:
        self.done.add(moment)


class Producer:
    """One sending process and the scheduler in it. What it has yet to send outlives it (an outbox, a loop in a script
    that is started again): a send counts when it was answered."""

    def __init__(self, world: "World", number: int) -> None:
        self.world, self.number = world, number
        self.outbox = [work for work in world.works if work.producer == number]
        self.starts = 0
        self._begin()

    @property
    def done(self) -> bool:
        return not self.outbox and set(self.world.moments) <= self.world.marks.done

    def _begin(self) -> None:
        world = self.world
        self.starts += 1
        wire = Wire(f"producer{self.number}.{self.starts}")
        wire.on_crash = lambda: asyncio.get_running_loop().call_later(RESTART_SECONDS, self._begin)
        self.broker = world.faults.proxy(
            MemoryDriver(world.url, world.options, world.clock, world.server).broker(), wire
        )
        self.marks = world.faults.proxy(world.marks, wire)
        world.spawn(self._send(wire))
        world.spawn(self._schedule(wire))

    async def _send(self, wire: Wire) -> None:
        while self.outbox and not wire.dead:
            work = self.outbox[0]
            await self._until(work.after)
            # After a crash nobody knows whether the first of the outbox was sent.
            await self._publish(work, resend=self.starts > 1)
            if not wire.dead:
                self.outbox.pop(0)

    async def _schedule(self, wire: Wire) -> None:
        world = self.world
        for moment in world.moments:
            await self._until(moment + 0.1 * world.dice.random())
            while moment not in await self._try_marked():
                if world.variant.marks_first:
                    await self._try_mark(moment)
                await self._publish(fire(moment))
                await self._try_mark(moment)

    async def _publish(self, work: Work, *, resend: bool = False) -> None:
        world = self.world
        posting = world.codec.post(work.message(world.start + work.after))
        while True:
            # A resend has to be stopped at the door even when the first copy has ended meanwhile.
            sent = msgspec.structs.replace(posting, once=True) if resend else posting
            try:
                await self.broker.publish((sent,))
            except BrokerError:
                resend = True
                await asyncio.sleep(0.1)
            else:
                return

    async def _try_marked(self) -> frozenset[float]:
        while True:
            try:
                answer: frozenset[float] = await self.marks.marked()
            except BrokerError:
                await asyncio.sleep(0.1)
            else:
                return answer

    async def _try_mark(self, moment: float) -> None:
        while True:
            try:
                await self.marks.mark(moment)
            except BrokerError:
                await asyncio.sleep(0.1)
            else:
                return

    async def _until(self, after: float) -> None:
        await asyncio.sleep(max(0.0, after - self.world.clock.elapsed))
