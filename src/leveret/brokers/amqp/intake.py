"""The consuming side of one worker process: what the broker pushed and nobody has claimed, and what is unacknowledged.

The law: a message is unacknowledged here for as long as a slot can begin it soon. What has waited for 50 ms while all
slots were busy goes back, and nothing more is asked for until a slot is idle again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from leveret.brokers.amqp.consumers import Consumers
from leveret.brokers.amqp.patience import explained
from leveret.brokers.amqp.unsettled import Unsettled
from leveret.errors import BrokerError
from leveret.links.amqp import declaring
from leveret.links.amqp.aio import AsyncConnection
from leveret.links.amqp.protocol import methods
from leveret.links.amqp.protocol.events import Confirmed, Delivered, Returned
from leveret.links.amqp.publisher import follow
from leveret.logic.window import UNCLAIMED_SECONDS, Window
from leveret.model.delivery import Claim
from leveret.model.topology import Topology

log = logging.getLogger("leveret.amqp")

FIRST_LOOK_SECONDS = 2.0
WATCHDOG_SECONDS = 10.0
"""Silence after which the queue is looked at, the first time and later on: not empty, and nothing comes, means a dead
consumer. RabbitMQ 3.10 forgets to tell the consumers of a quorum queue that was deleted and made again at once."""
_GRACE_SECONDS = 2.0
_AGAIN_SECONDS = 0.01
_SETTLING_SECONDS = 0.02
"""How long an idle worker waits before it looks whether its window is still open: acknowledgements are on their way."""

GiveBack = Callable[[list[Delivered]], Awaitable[None]]


async def _keep(messages: list[Delivered]) -> None:
    return


class Intake:
    """A `ChannelOwner`; made on an open connection by `begin`. Owned by its loop."""

    def __init__(self, connection: AsyncConnection, queues: tuple[str, ...], topology: Topology) -> None:
        self.connection, self.queues = connection, queues
        self.topology = topology
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
        self._consumers = Consumers(connection, topology, self.unsettled)
        self._timer: asyncio.TimerHandle | None = None
        self._claimed_at = self._heard_at = self._loop.time()
        self._patience = FIRST_LOOK_SECONDS
        self._next_queue = 0
        self._slots = 1
        """The most idle slots there ever were."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        self.channel = self.unsettled.channel = await self.connection.channel(self)

    def queue_of(self, message: Delivered) -> str:
        return self._consumers.queue_of(message)

    # ChannelOwner

    def delivered(self, message: Delivered) -> None:
        self._heard_at, self._patience = self._loop.time(), FIRST_LOOK_SECONDS
        self.unsettled.add(message)
        self.buffer.append(message)
        if self._timer is None:
            self._timer = self._loop.call_later(UNCLAIMED_SECONDS, self._look_back)
        self.news.set()

    def confirmed(self, confirm: Confirmed) -> None: ...

    def returned(self, message: Returned) -> None: ...

    def cancelled(self, consumer: str) -> None:
        queue = self._consumers.ended(consumer)
        if queue is not None:
            log.warning("queue %r was deleted under its consumer, or its node left; it is declared again", queue)
            self.spawn(self._revive(queue))

    def lost(self, error: Exception) -> None:
        if self.error is not None:
            return
        self.error = error
        if (hint := explained(str(error))) is not None:
            log.error("%s", hint)
        if self._timer is not None:
            self._timer.cancel()
        self.buffer.clear()
        self.unsettled.clear()
        self.lost_event.set()
        self.news.set()

    # Claiming

    async def take(self, claim: Claim) -> list[Delivered]:
        """At most its credit of what is here, oldest first; turns the dial for what will be asked for next."""
        credit, idle = claim.credit, claim.idle or claim.credit
        if claim.last and not self.buffer:
            self.buffer.extend(await self.pause())
        self._claimed_at = self._loop.time()
        self._slots = max(self._slots, idle)
        if not self.window.prefetch and not self.buffer:
            got = await self._get(credit, credit if claim.aside else idle)
            if got:
                return got
        aside = self.window.wanted_aside(credit, claim.held) if claim.aside else 0
        wanted = aside or self.window.wanted(credit, idle, self._slots)
        if wanted < self.window.prefetch:
            await self._return_unclaimed()
        elif wanted > self.window.prefetch and self.error is None:
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
        """While paused: what idle slots can begin, or what needs none, from one queue after the other. Consumers begin
        anew where nothing was found, or where tasks are short."""
        taken: list[Delivered] = []
        short = credit >= 2 * (idle or credit)
        for _ in self.queues:
            queue = self.queues[self._next_queue % len(self.queues)]
            self._next_queue += 1
            while len(taken) < (idle or credit):
                message = await self.connection.call(self.channel, methods.Basic.Get(queue=queue))
                if message is None:
                    break
                found = replace(message, consumer=f"get.{queue}")
                self._consumers.got(found, queue)
                self.unsettled.add(found)
                taken.append(found)
        if not taken or short:
            self.consume(max(1, (idle or credit) - len(taken)))
        return taken

    async def serve(self, queues: tuple[str, ...]) -> None:
        """Consume other queues from now on; what nobody claimed of the old ones goes back."""
        for queue in queues:
            if queue not in self.queues:
                await follow(self.connection, declaring.queue_and_bindings(self.topology, queue))
        self.queues = queues
        await self._return_unclaimed()

    async def bell(self, timeout: float) -> None:
        """Wait for something to claim, or for the end of the connection."""
        if self.buffer or self.error is not None:
            return
        self.news.clear()
        if await self._hears(min(timeout, _SETTLING_SECONDS)):
            return
        self._reopen()
        if not await self._hears(timeout):
            await self._watch()

    async def _hears(self, seconds: float) -> bool:
        """Whether anything comes within that time."""
        # No `wait_for`: it would make a task of its own of each wait, which costs two turns of the loop.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.news.wait()
        return self.news.is_set()

    # Consumers

    def consume(self, prefetch: int) -> None:
        """Widen the window to that many unacknowledged messages of each queue."""
        self._consumers.begin(self.queues, prefetch - self.window.prefetch)
        self.window.change(prefetch)

    async def pause(self) -> list[Delivered]:
        """Ask for nothing more; answers what nobody had claimed, which the caller gives back."""
        if self.window.prefetch:
            self.window.pause()
            await self._consumers.cancel()
        back = list(self.buffer)
        self.buffer.clear()
        return back

    def restore(self, messages: list[Delivered]) -> None:
        """They could not be given back yet."""
        self.buffer.extendleft(reversed(messages))
        if messages and self._timer is None and self.error is None:
            self._timer = self._loop.call_later(UNCLAIMED_SECONDS, self._look_back)

    async def _return_unclaimed(self) -> None:
        await self.on_unclaimed(await self.pause())

    def _reopen(self) -> None:
        """Idle, and the window is full of what runs: widen it for the idle slots."""
        if not self.window.prefetch or self.error is not None:
            return
        if len(self.unsettled) > self._slots:
            # Not settled yet: more would only wait behind the same store or publish.
            return
        if sum(self.unsettled.consumers.values()) >= self.window.prefetch:
            self.consume(self.window.prefetch + self._slots)

    def _look_back(self) -> None:
        self._timer = None
        if not self.buffer:
            return
        wait = UNCLAIMED_SECONDS - (self._loop.time() - self._claimed_at)
        if wait <= 0 and len(self.unsettled) - len(self.buffer) > self._slots:
            # The worker itself holds what has not begun: it gives that back soon, and this with it, in their order.
            wait = _AGAIN_SECONDS
        if wait > 0:
            self._timer = self._loop.call_later(wait + 0.001, self._look_back)
            return
        self.spawn(self._return_unclaimed())

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
        """The queue is not empty and nothing arrives: something is no good, whatever the connection says of itself."""
        if self._loop.time() - self._heard_at < self._patience or not self.window.prefetch:
            return
        if sum(self.unsettled.consumers.values()) >= self.window.prefetch:
            return
        waiting = await self._waiting_messages()
        if not waiting:
            self._heard_at = self._loop.time()
            self._patience = min(2 * self._patience, WATCHDOG_SECONDS)
            return
        self.news.clear()
        if not await self._hears(_GRACE_SECONDS) and await self._waiting_messages() and not self.news.is_set():
            await self._begin_anew(waiting)

    async def _begin_anew(self, waiting: int) -> None:
        log.warning("%d messages wait in %s and none arrives: beginning anew", waiting, ", ".join(self.queues))
        if not len(self.unsettled):
            self.connection.abort()
            return
        # Others run on this connection.
        prefetch = self.window.prefetch
        await self._return_unclaimed()
        self.consume(prefetch)

    async def _waiting_messages(self) -> int:
        steps = [declaring.queue_and_bindings(self.topology, queue) for queue in self.queues]
        return sum([(await follow(self.connection, one)).messages for one in steps])

    async def _revive(self, queue: str) -> None:
        await follow(self.connection, declaring.queue_and_bindings(self.topology, queue))
        if self.window.prefetch and self.error is None:
            self._consumers.begin((queue,), self.window.prefetch)

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


async def insist(intake: Intake, call: Callable[[], Awaitable[None]]) -> None:
    """Repeat until the broker has taken it, or this connection is gone with all that it handed over. A broker that
    takes no messages must not cost the connection on which others run."""
    wait = 0.1
    while intake.error is None:
        try:
            await call()
            return
        except BrokerError as error:
            log.log(logging.WARNING if wait == 0.1 else logging.DEBUG, "%s; trying again", error)
        await asyncio.sleep(wait)
        wait = min(2 * wait, 2.0)
