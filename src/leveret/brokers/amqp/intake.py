"""The consuming side of one worker process: what the broker pushed and nobody has claimed, and what is unacknowledged.

The law: a message is unacknowledged here for as long as a slot can begin it soon. What has waited for 50 ms while all
slots were busy goes back, and nothing more is asked for until a slot is idle again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from msgspec.structs import replace
from pamqp import commands

from leveret.brokers.amqp.patience import explained
from leveret.brokers.amqp.unsettled import Unsettled
from leveret.links.amqp import declaring
from leveret.links.amqp.aio import AsyncConnection
from leveret.links.amqp.protocol.events import Confirmed, Delivered, Returned
from leveret.links.amqp.publisher import follow
from leveret.logic.window import UNCLAIMED_SECONDS, Window
from leveret.model.topology import Topology

log = logging.getLogger("leveret.amqp")

WATCHDOG_SECONDS = 10.0
"""Silence after which the queue is looked at: not empty, and nothing comes, means a dead consumer."""
_GRACE_SECONDS = 2.0
_SETTLING_SECONDS = 0.02
"""How long an idle worker waits before it looks whether its window is still open: acknowledgements are on their way."""

GiveBack = Callable[[list[Delivered]], Awaitable[None]]


async def _keep(messages: list[Delivered]) -> None:
    return


class Intake:
    """A `ChannelOwner`; made on an open connection by `begin`. Owned by its loop."""

    def __init__(self, connection: AsyncConnection, queues: tuple[str, ...], topology: Topology) -> None:
        self.connection, self.queues = connection, queues
        self._topology = topology
        self.on_unclaimed: GiveBack = _keep
        """Told what nobody claimed in time; it goes back to the queue."""
        self.channel = 0
        self.window = Window()
        self.buffer: deque[Delivered] = deque()
        self.unsettled = Unsettled()
        self.error: Exception | None = None
        self.lost_event = asyncio.Event()
        self.news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._generation = 0
        self._names: dict[str, str] = {}
        """Consumer tag -> queue, of all there ever were."""
        self._timer: asyncio.TimerHandle | None = None
        self._claimed_at = self._heard_at = self._loop.time()
        self._next_queue = 0
        self._slots = 1
        """The most idle slots there ever were."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        self.channel = self.unsettled.channel = await self.connection.channel(self)

    def queue_of(self, message: Delivered) -> str:
        return self._names.get(message.consumer, "")

    # ChannelOwner

    def delivered(self, message: Delivered) -> None:
        self._heard_at = self._loop.time()
        if not self.unsettled.add(message) and not self.window.prefetch:
            # On its way when the consumers were cancelled.
            self.spawn(self.on_unclaimed([message]))
            return
        self.buffer.append(message)
        if self._timer is None:
            self._timer = self._loop.call_later(UNCLAIMED_SECONDS, self._look_back)
        self.news.set()

    def confirmed(self, confirm: Confirmed) -> None:
        return

    def returned(self, message: Returned) -> None:
        return

    def cancelled(self, consumer: str) -> None:
        queue = self._names.get(consumer, "")
        if self.unsettled.consumers.pop(consumer, None) is not None:
            log.warning("queue %r was deleted under its consumer, or its node left; it is declared again", queue)
            self.spawn(self._revive(queue))

    def lost(self, error: Exception) -> None:
        if self.error is not None:
            return
        self.error = error
        hint = explained(str(error))
        if hint is not None:
            log.error("%s", hint)
        if self._timer is not None:
            self._timer.cancel()
        self.buffer.clear()
        self.unsettled.clear()
        self.lost_event.set()
        self.news.set()

    # Claiming

    async def take(self, credit: int, idle: int) -> list[Delivered]:
        """At most `credit` of what is here, oldest first; turns the dial for what will be asked for next."""
        self._claimed_at = self._loop.time()
        self._slots = max(self._slots, idle)
        if not self.window.prefetch and not self.buffer:
            got = await self._get(credit, idle)
            if got:
                return got
        wanted = self.window.wanted(credit, idle)
        if wanted != self.window.prefetch and self.error is None:
            self.consume(wanted)
        buffer = self.buffer
        if len(buffer) <= credit:
            taken = list(buffer)
            buffer.clear()
            self.news.clear()
        else:
            taken = [buffer.popleft() for _ in range(credit)]
        self.window.took(len(taken))
        return taken

    async def _get(self, credit: int, idle: int) -> list[Delivered]:
        """While paused: exactly what idle slots can begin, from one queue after the other. Consumers begin anew where
        nothing was found, or where tasks are short."""
        taken: list[Delivered] = []
        short = credit >= 2 * (idle or credit)
        for _ in self.queues:
            queue = self.queues[self._next_queue % len(self.queues)]
            self._next_queue += 1
            while len(taken) < (idle or credit):
                message = await self.connection.call(self.channel, commands.Basic.Get(queue=queue))
                if message is None:
                    break
                found = self._named(message, queue)
                self.unsettled.add(found)
                taken.append(found)
        if not taken or short:
            self.consume(max(1, (idle or credit) - len(taken)))
        return taken

    def _named(self, message: Delivered, queue: str) -> Delivered:
        """What a get brought belongs to no consumer; its queue is remembered as if it did."""
        tag = f"get.{queue}"
        self._names[tag] = queue
        return replace(message, consumer=tag)

    async def serve(self, queues: tuple[str, ...]) -> None:
        """Consume other queues from now on; what nobody claimed of the old ones goes back."""
        for queue in queues:
            if queue not in self.queues:
                await follow(self.connection, declaring.queue_and_bindings(self._topology, queue))
        self.queues = queues
        await self.on_unclaimed(self.pause())

    async def bell(self, timeout: float) -> None:
        """Wait for something to claim, or for the end of the connection."""
        if self.buffer or self.error is not None:
            return
        self.news.clear()
        try:
            await asyncio.wait_for(self.news.wait(), min(timeout, _SETTLING_SECONDS))
        except TimeoutError:
            self._reopen()
        else:
            return
        try:
            await asyncio.wait_for(self.news.wait(), timeout)
        except TimeoutError:
            await self._watch()

    # Consumers

    def consume(self, prefetch: int) -> None:
        """Begin with this prefetch instead of what there is; one write. What was pushed before stays valid."""
        self._cancel()
        self.window.change(prefetch)
        self._generation += 1
        self.connection.post(self.channel, commands.Basic.Qos(prefetch_count=prefetch, global_=False))
        for queue in self.queues:
            self._consume(queue)

    def _consume(self, queue: str) -> None:
        tag = f"{self._generation}.{queue}"
        self.unsettled.consumers[tag] = 0
        self._names[tag] = queue
        arguments = dict(self._topology.queue(queue).consumer_arguments or {})
        self.connection.post(self.channel, commands.Basic.Consume(queue=queue, consumer_tag=tag, arguments=arguments))

    def _cancel(self) -> None:
        for tag in self.unsettled.consumers:
            self.connection.send(self.channel, commands.Basic.Cancel(consumer_tag=tag, nowait=True))
        self.unsettled.consumers.clear()

    def pause(self) -> list[Delivered]:
        """Ask for nothing more; answers what nobody had claimed, which the caller gives back."""
        self._cancel()
        self.window.pause()
        back = list(self.buffer)
        self.buffer.clear()
        return back

    def _reopen(self) -> None:
        """Idle, and the window is full of what runs or belonged to older consumers: begin anew for the idle slots."""
        if not self.window.prefetch or self.error is not None:
            return
        if len(self.unsettled) > self._slots:
            # Not settled yet: more would only wait behind the same store or publish.
            return
        if any(count >= self.window.prefetch for count in self.unsettled.consumers.values()):
            self.consume(self.window.prefetch)

    def _look_back(self) -> None:
        self._timer = None
        if not self.buffer:
            return
        waited = self._loop.time() - self._claimed_at
        if waited < UNCLAIMED_SECONDS:
            self._timer = self._loop.call_later(UNCLAIMED_SECONDS - waited + 0.001, self._look_back)
            return
        self.spawn(self.on_unclaimed(self.pause()))

    # Settling

    def acknowledge(self, tags: Iterable[int]) -> None:
        """Done, for good."""
        self._write(self.unsettled.acknowledge(tags))

    def refuse(self, tags: Iterable[int]) -> None:
        """Back to the queue, to their old places."""
        self._write(self.unsettled.refuse(tags))

    def _write(self, data: bytes) -> None:
        if data:
            self.connection.write(data)

    # Watching

    async def _watch(self) -> None:
        """The queue is not empty and nothing arrives: the connection is no good, whatever it says of itself."""
        quiet = self._loop.time() - self._heard_at
        if quiet < WATCHDOG_SECONDS or not self.window.prefetch or len(self.unsettled):
            return
        waiting = await self._waiting_messages()
        if not waiting:
            self._heard_at = self._loop.time()
            return
        self.news.clear()
        try:
            await asyncio.wait_for(self.news.wait(), _GRACE_SECONDS)
        except TimeoutError:
            if await self._waiting_messages() and not self.news.is_set():
                log.warning("%d messages wait in %s and none arrives: connecting anew", waiting, ", ".join(self.queues))
                self.connection.abort()

    async def _waiting_messages(self) -> int:
        total = 0
        for queue in self.queues:
            found = await follow(self.connection, declaring.queue_and_bindings(self._topology, queue))
            total += found.messages
        return total

    async def _revive(self, queue: str) -> None:
        await follow(self.connection, declaring.queue_and_bindings(self._topology, queue))
        if self.window.prefetch and self.error is None:
            self._generation += 1
            self._consume(queue)

    def spawn(self, work: Awaitable[None]) -> None:
        """Work beside the claims; when it fails the connection is made anew, and the broker hands over again."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self.error is None:
            log.warning("%s; connecting anew", error)
            self.connection.abort()
