"""The blocking publisher of a process: confirmed, bounded in time, shared by its threads, forgotten after a fork.

Threads share one connection and one window of confirms: each writes its own messages at once and waits for them, so the
broker sees many in flight, however small each call is.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from pamqp import commands

from leveret.errors import BrokerError, OperationalError, PublishFailed, PublishUnknown
from leveret.links.amqp import declaring, names
from leveret.links.amqp.address import Failover
from leveret.links.amqp.blocking import BlockingConnection, connect
from leveret.links.amqp.confirms import Batch, Confirms, silence
from leveret.links.amqp.declaring import Steps
from leveret.links.amqp.letters import Letter, index_entry
from leveret.links.amqp.protocol import frames
from leveret.links.amqp.protocol.connection import marshal
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost
from leveret.links.amqp.protocol.events import Confirmed
from leveret.links.amqp.publisher import CHANNEL_SECONDS, after, blocked, forget, judge, unrouted, written
from leveret.links.amqp.reading import turn
from leveret.model.topology import Topology

MOST_AT_ONCE = 2_000
"""Messages written before their confirms are read: the broker's and our buffers must not fill from both ends."""


class Wire:
    """What one process has open: a connection, its confirm channel, what it has declared. `before` is what had the
    connection when its channel broke."""

    def __init__(self, connection: BlockingConnection, deadline: float, before: "Wire | None" = None) -> None:
        self.connection = connection
        self.confirms = Confirms()
        self.declared: set[str] = set()
        self.highest: int = before.highest if before else -1
        self.reply_channel: int = before.reply_channel if before else 0
        """Where results come in; 0: nobody consumes them."""
        self.reply_queue: str = before.reply_queue if before else ""
        self.broken = False
        self._since = time.monotonic()
        self.channel = 0
        connection.on_confirmed = self.confirms.confirmed
        connection.on_returned = self.confirms.returned
        connection.on_lost = self.confirms.sever
        connection.on_channel_lost = self._forget_channel
        self.channel = connection.open_channel(deadline)
        connection.call(self.channel, commands.Confirm.Select(), deadline)

    def leave_channel(self) -> None:
        """The next send opens another. After its queue's leader is gone, RabbitMQ 3.10 refuses all that comes for that
        queue on a channel which had not sent to it before, and nothing on a new one."""
        with self.connection.lock():
            # Not at every refusal: a full queue may have the same to say for long.
            if self.broken or self.confirms.unanswered or time.monotonic() - self._since < CHANNEL_SECONDS:
                return
            self.broken = True
        self.connection.owe(marshal(self.channel, commands.Channel.Close(200, "", 0, 0)))

    def _forget_channel(self, channel: int, error: Exception) -> None:
        if channel == self.reply_channel:
            self.reply_channel = 0
        elif channel == self.channel:
            # Published to an exchange that is not there: what stood behind it on the channel is gone too.
            self.broken = True
            self.confirms.sever(error)


class _ChannelLeft(Exception):
    """The channel is not to be used any more."""


Prepare = Callable[[Wire, float], None]


class Sender:
    """`_opening` guards connecting and declaring."""

    def __init__(self, failover: Failover, topology: Topology) -> None:
        self._failover, self._topology = failover, topology
        self._start_over()

    def _start_over(self) -> None:
        self._pid = os.getpid()
        self._opening = threading.Lock()
        self._wire: Wire | None = None

    def publish(self, letters: Sequence[Letter], timeout: float, prepare: Prepare | None = None) -> None:
        """Return when the broker has all of them; fail within `timeout` seconds. `prepare` is called with the open
        connection before anything is sent."""
        deadline = time.monotonic() + timeout
        wire = self._at_hand(letters) if prepare is None else None
        if wire is None:
            try:
                wire = self._open(letters, deadline, timeout, prepare)
            except (OperationalError, ConnectionLost) as error:
                raise PublishFailed(f"nothing was sent: {error}") from error
        self._deliver(wire, letters[:MOST_AT_ONCE], deadline, timeout)
        for start in range(MOST_AT_ONCE, len(letters), MOST_AT_ONCE):
            with after(start):
                self._deliver(wire, letters[start : start + MOST_AT_ONCE], deadline, timeout)

    def _at_hand(self, letters: Sequence[Letter]) -> Wire | None:
        """The connection, where one letter can be sent on it as it is. The calls of the long way are quick, but cost
        four times as much in a process that has just waited for a broker (docs/adr/0011)."""
        wire, letter = self._wire, letters[0]
        if wire is None or wire.broken or self._pid != os.getpid() or len(letters) > 1:
            return None
        usable = letter.queue in wire.declared and not letter.late and wire.connection.blocked is None
        return wire if usable and wire.connection.alive() else None

    def _open(self, letters: Sequence[Letter], deadline: float, timeout: float, prepare: Prepare | None) -> Wire:
        """The connection, with all that these letters need."""
        while True:
            wire = self.wire(deadline)
            # A broker that takes no messages answers no declaration on this connection either.
            _wait_unblocked(wire.connection, deadline, timeout)
            if prepare is not None:
                prepare(wire, deadline)
            try:
                self._prepare(wire, letters, deadline)
            except _ChannelLeft:
                continue
            return wire

    def _deliver(self, wire: Wire, letters: Sequence[Letter], deadline: float, timeout: float) -> None:
        try:
            batch = self._send(wire, letters, deadline, timeout)
        except _ChannelLeft:
            # Another thread's message ended it; nothing of these was written.
            self._deliver(self._wire_again(deadline), letters, deadline, timeout)
            return
        again = unrouted(batch)
        if again:
            forget(wire.declared, again)
            try:
                self._prepare(wire, again, deadline)
                batch = self._send(wire, again, deadline, timeout)
            except _ChannelLeft:
                raise PublishUnknown("the channel was closed over another message; sending again is safe") from None
        if batch.refused:
            wire.leave_channel()
        judge(batch, wire.declared)

    def opening(self, deadline: float) -> AbstractContextManager[None]:
        """Held while something is declared or consumed on the connection."""
        return turn(self._opening, deadline, self._failover.shown)

    def wire(self, deadline: float) -> Wire:
        """The open connection of this process, made where there is none."""
        self.forget_if_forked()
        wire = self._wire
        if wire is not None and not wire.broken and wire.connection.alive():
            return wire
        with self.opening(deadline):
            wire = self._wire
            if wire is None or wire.connection.error is not None:
                wire = self._wire = self._connect(deadline)
            elif wire.broken:
                wire = self._wire = Wire(wire.connection, deadline, wire)
            return wire

    def _wire_again(self, deadline: float) -> Wire:
        try:
            return self.wire(deadline)
        except OperationalError as error:
            raise PublishFailed(f"nothing was sent: {error}") from error

    def _connect(self, deadline: float) -> Wire:
        connection = connect(self._failover, deadline)
        try:
            return Wire(connection, deadline)
        except BaseException:
            connection.abort()
            raise

    def forget_if_forked(self) -> None:
        """An inherited connection is the parent's: no byte of ours may go out on it."""
        if self._pid != os.getpid():
            inherited = self._wire
            self._start_over()
            if inherited is not None:
                inherited.connection.drop()

    def _prepare(self, wire: Wire, letters: Sequence[Letter], deadline: float) -> None:
        if len(letters) == 1 and letters[0].queue in wire.declared and not letters[0].late:
            return
        queues = {letter.queue for letter in letters if letter.queue}
        late = [letter for letter in letters if letter.late]
        if queues <= wire.declared and not late:
            return
        with self.opening(deadline):
            for queue in queues - wire.declared:
                place = follow(wire.connection, declaring.queue_and_bindings(self._topology, queue), deadline)
                if place is not None and place.made:
                    # Into the index of queues, so that operators find it.
                    follow(wire.connection, declaring.own_queue(names.INDEX), deadline)
                    left = max(deadline - time.monotonic(), 0.0)
                    judge(self._send(wire, [index_entry(queue)], deadline, left), wire.declared)
                wire.declared.add(queue)
            for name, steps in declaring.delays(late, wire.declared, wire.highest):
                follow(wire.connection, steps, deadline)
                if name:
                    wire.declared.add(name)
            wire.highest = max((wire.highest, *(names.rung(letter.delay) for letter in late)))

    def _send(self, wire: Wire, letters: Sequence[Letter], deadline: float, timeout: float) -> Batch:
        connection = wire.connection
        if connection.blocked is not None:
            _wait_unblocked(connection, deadline, timeout)
        batch, began, tag = Batch(letters, _nobody), time.monotonic(), 0
        data = written(letters, wire.channel, connection.frame_max)

        def count() -> bytes:
            nonlocal tag
            # When it is our turn to write, and not before: the broker counts in the order of frames.
            with connection.lock():
                if wire.broken:
                    raise _ChannelLeft
                tag = wire.confirms.add(batch)
                return frames.ack(wire.channel, tag)

        try:
            if len(letters) == 1 and connection.exchange(data, deadline, count):
                with connection.lock():
                    wire.confirms.confirmed(Confirmed(wire.channel, tag, False, True))
                return batch
            if len(letters) > 1:
                connection.send(data, deadline, count)
            answered = connection.wait(lambda: not batch.open or batch.severed is not None, deadline)
        except ConnectionLost as error:
            raise PublishUnknown(f"the connection broke while sending: {error}") from error
        except OperationalError as error:
            raise PublishFailed(f"nothing was sent: {error}") from error
        if not answered:
            connection.give_up(began)
            raise PublishUnknown(
                f"{connection.address.shown} did not confirm {len(letters)} messages within {timeout:.3g} s "
                f"(publish_timeout){silence(connection, began)}; sending them again with the same ids is safe"
            )
        return batch

    def close(self) -> None:
        self.forget_if_forked()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.connection.close()


def _nobody() -> None:
    """Who sends here looks himself."""


def _wait_unblocked(connection: BlockingConnection, deadline: float, timeout: float) -> None:
    reason = connection.blocked
    if reason is not None and not connection.wait(lambda: connection.blocked is None, deadline):
        raise PublishFailed(blocked(connection.address.shown, reason, timeout))


def follow(connection: BlockingConnection, steps: Steps, deadline: float) -> Any:
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
                channel = connection.open_channel(deadline)
            try:
                answer = connection.call(channel, method, deadline)
            except ChannelClosed as closed:
                answer, channel = closed, None
    finally:
        if channel is not None and connection.error is None:
            _close_channel(connection, channel, deadline)


def _close_channel(connection: BlockingConnection, channel: int, deadline: float) -> None:
    try:
        connection.call(channel, commands.Channel.Close(200, "", 0, 0), deadline)
    except BrokerError:
        return
