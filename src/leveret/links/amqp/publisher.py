"""The asynchronous publisher of one loop: pipelined confirms on a connection of its own, opened when first needed.

Of its own, because a broker short of memory stops reading from connections that publish: acknowledgements, which free
memory, must not stand behind a message there.
"""

import asyncio
import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pamqp import commands

from leveret.errors import BrokerError, OperationalError, PublishFailed, PublishUnknown, QueueNotFound
from leveret.links.amqp import declaring, names
from leveret.links.amqp.address import Failover
from leveret.links.amqp.aio import AsyncConnection, Deaf, connect
from leveret.links.amqp.confirms import Batch, Confirms, silence
from leveret.links.amqp.declaring import Steps
from leveret.links.amqp.letters import Letter, index_entry
from leveret.links.amqp.protocol import frames
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost
from leveret.links.amqp.protocol.events import Confirmed, Delivered, Returned
from leveret.model.topology import Topology

log = logging.getLogger("leveret.amqp")

_SIZE = re.compile(r"message size (\d+)")
MOST_IN_FLIGHT = 4_000
"""Unconfirmed messages on one channel; more wait here."""
_SILENCE_SECONDS = 10.0
CHANNEL_SECONDS = 1.0
"""A channel that is younger is not left over a refusal: a full queue may have the same to say for long."""


class Nacked(PublishFailed):
    """The broker has refused all of it, as a full queue does, or one that is just being made or has lost its leader."""


class Lines:
    """The confirm channel of one connection, as its `ChannelOwner`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.channel = 0
        self.confirms = Confirms()
        self.error: Exception | None = None
        self.declaring = asyncio.Lock()
        """Held while something is looked for and made: two at once would both make it."""
        self.declared: set[str] = set()
        """Names of queues known to be there."""
        self.highest = -1
        """The highest rung known to be there."""
        self._expected: int | None = None
        """The oldest open confirm when somebody last looked."""
        self._timer: asyncio.TimerHandle | None = None
        self._since = time.monotonic()

    @property
    def age(self) -> float:
        return time.monotonic() - self._since

    def expect(self) -> None:
        """Call after a send: that a confirm does not come is told, since whoever waits for it may wait for long."""
        if self._timer is None:
            self._expected = self.confirms.oldest
            self._timer = asyncio.get_running_loop().call_later(_SILENCE_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        oldest = self.confirms.oldest
        if oldest is None or self.error is not None:
            return
        if oldest == self._expected:
            where, why = self.connection.address.shown, self.connection.blocked or "a queue without a leader?"
            log.warning("%s still does not confirm %d messages (%s)", where, self.confirms.unanswered, why)
        self.expect()

    def delivered(self, message: Delivered) -> None:
        return

    def cancelled(self, consumer: str) -> None:
        return

    def confirmed(self, confirm: Confirmed) -> None:
        self.confirms.confirmed(confirm)

    def returned(self, message: Returned) -> None:
        self.confirms.returned(message)

    def lost(self, error: Exception) -> None:
        self.error = error
        self.confirms.sever(error)


async def _begin(connection: AsyncConnection) -> Lines:
    lines = Lines(connection)
    lines.channel = await connection.channel(lines)
    await connection.call(lines.channel, commands.Confirm.Select())
    return lines


class Publisher:
    """Belongs to the loop that first awaits it."""

    def __init__(self, failover: Failover, topology: Topology, timeout: float) -> None:
        self._failover, self._topology, self._timeout = failover, topology, timeout
        self._lines: Lines | None = None
        self._opening: asyncio.Lock | None = None

    async def publish(self, letters: Sequence[Letter]) -> None:
        """Return when the broker has all of them. Raises `PublishFailed` when it has none of some queue's, and
        `PublishUnknown` when it cannot tell."""
        lines = self._at_hand(letters)
        if lines is None:
            try:
                lines = await self.open()
                await self._prepare(lines, letters)
            except OperationalError as error:
                raise PublishFailed(f"nothing was sent: {error}") from error
        for start in range(0, len(letters), MOST_IN_FLIGHT):
            with after(start):
                await self._deliver(lines, letters[start : start + MOST_IN_FLIGHT])

    def _at_hand(self, letters: Sequence[Letter]) -> Lines | None:
        """The channel, where nothing is to be done before these are sent."""
        lines = self._lines
        if lines is None or lines.error is not None or lines.connection.error is not None:
            return None
        declared = lines.declared
        for letter in letters:
            if letter.late or (letter.queue and letter.queue not in declared):
                return None
        return lines

    async def _prepare(self, lines: Lines, letters: Sequence[Letter]) -> None:
        await self.prepare(lines, {letter.queue for letter in letters if letter.queue})
        late = [letter for letter in letters if letter.late]
        if late:
            async with lines.declaring:
                await self._prepare_ladder(lines, late)

    async def _deliver(self, lines: Lines, letters: Sequence[Letter]) -> None:
        batch = await self._send(lines, letters)
        again = unrouted(batch)
        if again:
            forget(lines.declared, again)
            await self._prepare(lines, again)
            batch = await self._send(lines, again)
        if batch.refused and not lines.confirms.unanswered and lines.age > CHANNEL_SECONDS:
            await self._leave_channel(lines)
        judge(batch, lines.declared)

    async def _leave_channel(self, lines: Lines) -> None:
        """As `sender.Wire.leave_channel`."""
        assert self._opening is not None
        async with self._opening:
            if self._lines is not lines or lines.error is not None:
                return
            self._lines = await _begin(lines.connection)
            if not lines.confirms.unanswered:
                lines.error = ConnectionLost("its channel was left for another")
                lines.connection.send(lines.channel, commands.Channel.Close(200, "", 0, 0))

    async def open(self) -> Lines:
        """The confirm channel, connecting first where there is none."""
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            lines = self._lines
            if lines is not None and lines.error is None and lines.connection.error is None:
                return lines
            if lines is not None:
                lines.connection.abort()
            connection = await connect(self._failover, self._timeout)
            try:
                lines = self._lines = await _begin(connection)
            except BaseException:
                connection.abort()
                raise
            return lines

    async def prepare(self, lines: Lines, queues: Iterable[str]) -> None:
        """See that these task queues are there."""
        missing = [queue for queue in queues if queue not in lines.declared]
        if not missing:
            return
        async with lines.declaring:
            for queue in missing:
                place = await follow(lines.connection, declaring.queue_and_bindings(self._topology, queue))
                if place is not None and place.made:
                    await self._enter(lines, queue)
                lines.declared.add(queue)

    async def _enter(self, lines: Lines, queue: str) -> None:
        """Into the index of queues, so that operators find it."""
        await follow(lines.connection, declaring.own_queue(names.INDEX))
        judge(await self._send(lines, [index_entry(queue)]), lines.declared)

    async def _prepare_ladder(self, lines: Lines, letters: Sequence[Letter]) -> None:
        for name, steps in declaring.delays(letters, lines.declared, lines.highest):
            await follow(lines.connection, steps)
            if name:
                lines.declared.add(name)
        lines.highest = max((lines.highest, *(names.rung(letter.delay) for letter in letters)))

    async def _send(self, lines: Lines, letters: Sequence[Letter]) -> Batch:
        """Answer what became of them: for as long as the connection lives, the broker has them and will tell."""
        connection = lines.connection
        if connection.blocked is not None:
            await self._unblocked(connection)
        done = asyncio.get_running_loop().create_future()
        batch = Batch(letters, lambda: None if done.done() else done.set_result(None))
        if lines.error is not None:
            raise PublishFailed(f"nothing was sent: {lines.error}") from lines.error
        # Before it is counted: what is too large is refused here.
        data = written(letters, lines.channel, connection.frame_max)
        lines.confirms.add(batch)
        connection.write(data)
        await connection.drain()
        lines.expect()
        await done
        return batch

    @property
    def shown(self) -> str:
        return self._failover.shown

    def doubt(self, since: float) -> str:
        """Nothing was confirmed within somebody's deadline: answers why, where that is known. A connection on which
        nothing at all was heard since then is not used again."""
        lines = self._lines
        if lines is None:
            return ""
        why = silence(lines.connection, since)
        if not why and lines.connection.heard < since:
            lines.connection.fail(ConnectionLost(f"{lines.connection.address.shown} did not answer"))
        return why

    async def _unblocked(self, connection: AsyncConnection) -> None:
        reason = connection.blocked
        try:
            await asyncio.wait_for(connection.unblocked.wait(), self._timeout)
        except TimeoutError:
            raise PublishFailed(blocked(connection.address.shown, reason, self._timeout)) from None

    async def close(self) -> None:
        lines, self._lines = self._lines, None
        if lines is not None:
            await lines.connection.close()

    def abort(self) -> None:
        """Break the connection, as a network does."""
        if self._lines is not None:
            self._lines.connection.abort()

    def disown(self) -> None:
        """In a forked process: the connection is the parent's."""
        if self._lines is not None:
            self._lines.connection.disown()


def written(letters: Sequence[Letter], channel: int, frame_max: int) -> bytes:
    """The frames of all of them."""
    method, content = frames.publish_method, frames.content
    return b"".join(
        [
            method(channel, letter.exchange, letter.routing_key, letter.mandatory)
            + content(channel, letter.properties, letter.body, frame_max)
            for letter in letters
        ]
    )


def blocked(where: str, reason: str | None, seconds: float) -> str:
    return (
        f"nothing was sent: {where} takes no messages ({reason}) and did not for {seconds:.3g} s (publish_timeout); "
        "free its memory or disk, or let its workers catch up"
    )


def unrouted(batch: Batch) -> list[Letter]:
    """Those of a batch that came back although their queue was there before: somebody deleted it meanwhile. Empty where
    another reason stands behind one of them."""
    if batch.severed is not None or not batch.returned:
        return []
    left = list(batch.items)
    found: list[Letter] = []
    for message in batch.returned:
        place = (message.exchange, message.routing_key, message.body)
        letter = next((one for one in left if (one.exchange, one.routing_key, one.body) == place), None)
        if letter is None or not letter.queue:
            return []
        left.remove(letter)
        found.append(letter)
    return found


def forget(declared: set[str], letters: Sequence[Letter]) -> None:
    """What was declared for these is looked at again."""
    for letter in letters:
        declared -= {letter.queue, names.arrives(letter.queue), names.arrives_shortly(letter.queue)}


@contextmanager
def after(sent: int) -> Iterator[None]:
    """Behind `sent` messages that are there, nobody can say any more that nothing was sent."""
    try:
        yield
    except PublishFailed as failed:
        if sent:
            raise PublishUnknown(f"only the first {sent} messages are there for certain: {failed}") from failed
        raise


def judge(batch: Batch, declared: set[str]) -> None:
    """What became of a batch, as an exception where it is not simply there."""
    if isinstance(batch.severed, ChannelClosed):
        declared.clear()
        raise _refused(batch, batch.severed) from batch.severed
    if batch.severed is not None:
        raise PublishUnknown(f"the connection broke before the broker answered: {batch.severed}") from batch.severed
    if batch.returned:
        first = batch.returned[0]
        place = (
            f"exchange {first.exchange!r} with key {first.routing_key!r}" if first.exchange else "the default exchange"
        )
        # Deleted since it was declared: the next send makes it anew.
        declared.clear()
        raise QueueNotFound(
            f"{len(batch.returned)} of {len(batch.items)} messages reached no queue ({first.code} {first.text} from "
            f"{place}, queue {first.routing_key!r}): bind a queue there, or send to another"
        )
    if batch.refused:
        kind = Nacked if batch.refused == len(batch.items) else PublishFailed
        raise kind(
            f"the broker refused {batch.refused} of {len(batch.items)} messages (a full queue with x-overflow "
            "reject-publish, or an error of its own); they are not in the queue"
        )


def _refused(batch: Batch, closed: ChannelClosed) -> BrokerError | QueueNotFound:
    """The broker closed the channel over one message; whose it was only its words tell. The others may be there."""
    others = f" (of {len(batch.items)} messages others may be there)" if len(batch.items) > 1 else ""
    if any(f"exchange '{one.exchange or 'amq.default'}'" in closed.text for one in batch.items):
        return QueueNotFound(f"the broker refused: {closed}{others}")
    too_large = _SIZE.search(closed.text)
    if too_large and any(len(one.body) == int(too_large[1]) for one in batch.items):
        return PublishFailed(f"the broker refused: {closed}{others}")
    return PublishUnknown(f"the broker closed the channel over another message ({closed}); sending again is safe")


async def follow(connection: AsyncConnection, steps: Steps) -> Any:
    """Carry out declarations on throw-away channels: a refusal closes the channel it came on."""
    channel: int | None = None
    answer: Any = None
    try:
        while True:
            try:
                method = steps.send(answer)
            except StopIteration as stop:
                return stop.value
            if channel is None:
                channel = await connection.channel(Deaf())
            try:
                answer = await connection.call(channel, method)
            except ChannelClosed as closed:
                answer, channel = closed, None
    finally:
        if channel is not None and connection.error is None:
            connection.send(channel, commands.Channel.Close(200, "", 0, 0))
