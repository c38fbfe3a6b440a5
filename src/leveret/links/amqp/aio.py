"""The asynchronous pump: one connection on one event loop."""

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, cast

from pamqp import commands

from leveret.errors import OperationalError
from leveret.links.amqp.address import Address, Failover, tune_socket
from leveret.links.amqp.protocol import frames
from leveret.links.amqp.protocol.connection import Connection, marshal
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost, ProtocolError
from leveret.links.amqp.protocol.events import (
    Answered,
    Blocked,
    ChannelLost,
    Closed,
    Confirmed,
    Delivered,
    Event,
    Got,
    Opened,
    Returned,
    Unblocked,
)

log = logging.getLogger("leveret.amqp")

_READ_BYTES = 262_144
"""One buffer for all reads: asyncio would map and unmap as much for each."""
REPLY_SECONDS = 20.0
"""How long a synchronous method may take. RabbitMQ answers none sooner than a quorum queue has a leader."""


class ChannelOwner(Protocol):
    """Hears what happens on one channel. Called on the loop; must not block."""

    def delivered(self, message: Delivered) -> None: ...

    def confirmed(self, confirm: Confirmed) -> None: ...

    def returned(self, message: Returned) -> None: ...

    def cancelled(self, consumer: str) -> None:
        """The broker ended a consumer: its queue was deleted, or its node went away."""
        ...

    def lost(self, error: Exception) -> None:
        """The channel, or the connection under it, is gone."""
        ...


class Deaf:
    """A `ChannelOwner` that heeds nothing: for channels on which only methods are called, and a base for those who hear
    one thing."""

    def delivered(self, message: Delivered) -> None:
        return

    def confirmed(self, confirm: Confirmed) -> None:
        return

    def returned(self, message: Returned) -> None:
        return

    def cancelled(self, consumer: str) -> None:
        return

    def lost(self, error: Exception) -> None:
        return


class AsyncConnection(asyncio.BufferedProtocol):
    """Made by `connect`. Its owner keeps no task running: the loop calls it."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._machine = Connection(address.credentials)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._owners: dict[int, ChannelOwner] = {}
        self._waiting: dict[int, deque[asyncio.Future[Any]]] = {}
        self._channels = 0
        self._free: list[int] = []
        """Numbers of channels that were closed."""
        self._flushing = False
        self._paused: asyncio.Future[None] | None = None
        self.heard = self._sent = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self.error: Exception | None = None
        """Why the connection is gone; None while it lives."""
        self.blocked: str | None = None
        """The broker's reason for taking no more messages on this connection."""
        self.last_blocked: tuple[str, float] | None = None
        """The reason that ended last, and when (on the monotonic clock)."""
        self.unblocked = asyncio.Event()
        self.on_lost: Callable[[], None] = lambda: None

    async def opened(self) -> None:
        """Return when channels may be used; raises what went wrong before."""
        await self._opened

    @property
    def server(self) -> Any:
        return self._machine.server

    @property
    def frame_max(self) -> int:
        return self._machine.frame_max

    # What owners do

    async def channel(self, owner: ChannelOwner) -> int:
        """Open a channel for `owner`; answers its number."""
        if self._free:
            number = self._free.pop()
        else:
            self._channels += 1
            number = self._channels
        self._owners[number] = owner
        await self.call(number, commands.Channel.Open())
        return number

    async def call(self, channel: int, method: Any) -> Any:
        """Send a synchronous method and wait for its answer. Raises `ChannelClosed`, `ConnectionLost`."""
        if self.error is not None:
            raise ConnectionLost(str(self.error)) from self.error
        answer = self.post(channel, method)
        try:
            return await asyncio.wait_for(answer, REPLY_SECONDS)
        except TimeoutError:
            error = ConnectionLost(f"{self.address.shown} did not answer {method.name} in {REPLY_SECONDS:g} s")
            self.fail(error)
            raise error from None

    def post(self, channel: int, method: Any) -> "asyncio.Future[Any]":
        """Send a synchronous method; nobody need wait for its answer. A refusal closes the channel."""
        data, answer = marshal(channel, method), self._loop.create_future()
        self._waiting.setdefault(channel, deque()).append(answer)
        self.write(data)
        return answer

    def send(self, channel: int, method: Any) -> None:
        """A method that is not answered, or whose answer nobody waits for (`nowait`)."""
        self.write(marshal(channel, method))

    def write(self, data: bytes) -> None:
        """Queue frames; everything of one turn of the loop leaves in one write."""
        self._machine.write(data)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    async def drain(self) -> None:
        """Wait while the socket takes no more."""
        if self._paused is not None:
            await asyncio.shield(self._paused)

    def socket(self) -> Any:
        """The socket below, also under TLS."""
        return None if self._transport is None else self._transport.get_extra_info("socket")

    async def close(self, seconds: float = 2.0) -> None:
        """Say goodbye and wait for the answer."""
        if self.error is None and self._transport is not None:
            self._machine.close()
            self.flush()
            gone = self._loop.create_future()
            self.on_lost = lambda: None if gone.done() else gone.set_result(None)
            with suppress(TimeoutError):
                await asyncio.wait_for(gone, seconds)
        self.abort()

    def disown(self) -> None:
        """In a forked process: close the inherited descriptor; the connection goes on in the parent."""
        sock = self.socket()
        if sock is not None and sock.fileno() >= 0:
            _close_descriptor(sock.fileno())

    def abort(self) -> None:
        self.fail(ConnectionLost("closed here"))

    def fail(self, error: Exception) -> None:
        """End the connection here and now: everybody who waits for it hears `error`."""
        if self.error is not None:
            return
        self.error = error
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            _shut_down(self.socket())
            self._transport.abort()
        if not self._opened.done():
            self._opened.set_exception(error)
            self._opened.exception()
        for waiting in self._waiting.values():
            _fail(waiting, error)
        if self._paused is not None and not self._paused.done():
            self._paused.set_result(None)
        self.unblocked.set()
        for owner in self._owners.values():
            owner.lost(error)
        self._owners.clear()
        self.on_lost()

    # asyncio.BufferedProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            tune_socket(sock)
        self._machine.begin()
        self.flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.heard = self._loop.time()
        try:
            events = self._machine.receive(bytes(self._buffer[:nbytes]))
        except ProtocolError as error:
            self.fail(error)
            return
        self._handle(events)
        if not self._flushing:
            self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(ConnectionLost(f"the connection to {self.address.shown} was lost: {exc or 'closed by the peer'}"))

    def pause_writing(self) -> None:
        self._paused = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._paused is not None and not self._paused.done():
            self._paused.set_result(None)
        self._paused = None

    # Inside

    def flush(self) -> None:
        """Send what was written in this turn of the loop now."""
        self._flushing = False
        data = self._machine.data_to_send()
        if data and self._transport is not None and not self._transport.is_closing():
            self._sent = self._loop.time()
            self._transport.write(data)

    def _handle(self, events: list[Event]) -> None:
        owners = self._owners
        for event in events:
            match event:
                case Delivered(channel=channel):
                    if (owner := owners.get(channel)) is not None:
                        owner.delivered(event)
                case Confirmed(channel=channel):
                    if (owner := owners.get(channel)) is not None:
                        owner.confirmed(event)
                case Returned(channel=channel):
                    if (owner := owners.get(channel)) is not None:
                        owner.returned(event)
                case Got(channel=channel, message=message):
                    self._answer(channel, message)
                case Answered(channel=channel, frame=commands.Basic.Cancel() as cancel):
                    if (owner := owners.get(channel)) is not None:
                        owner.cancelled(cancel.consumer_tag or "")
                case Answered(channel=channel, frame=commands.Channel.CloseOk() as frame):
                    self._owners.pop(channel, None)
                    self._free.append(channel)
                    self._answer(channel, frame)
                case Answered(channel=channel, frame=frame):
                    self._answer(channel, frame)
                case ChannelLost(channel=channel, code=code, text=text):
                    self._end_channel(channel, ChannelClosed(code, text))
                case Blocked(reason=reason):
                    self.blocked = reason
                    self.unblocked.clear()
                    log.warning("%s takes no more messages: %s", self.address.shown, reason)
                case Unblocked():
                    self.last_blocked, self.blocked = (self.blocked or "", self._loop.time()), None
                    self.unblocked.set()
                    log.warning("%s takes messages again", self.address.shown)
                case Opened():
                    self._begin_heartbeats()
                    if not self._opened.done():
                        self._opened.set_result(None)
                case Closed(code=code, text=text):
                    self.flush()
                    self.fail(ConnectionLost(f"{self.address.shown} closed the connection: {code} {text}", code))

    def _answer(self, channel: int, answer: Any) -> None:
        waiting = self._waiting.get(channel)
        while waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(answer)
            # One that was cancelled has its answer too: the order is all that tells them apart.
            return

    def _end_channel(self, channel: int, error: ChannelClosed) -> None:
        _fail(self._waiting.pop(channel, deque()), error)
        owner = self._owners.pop(channel, None)
        self._free.append(channel)
        if owner is not None:
            owner.lost(error)

    def _begin_heartbeats(self) -> None:
        if self._machine.heartbeat:
            self._timer = self._loop.call_later(self._machine.heartbeat / 4, self._beat)

    def _beat(self) -> None:
        every, now = self._machine.heartbeat, self._loop.time()
        if now - self.heard > 2 * every:
            self.fail(ConnectionLost(f"{self.address.shown} was silent for {2 * every} s"))
            return
        if now - self._sent >= every / 2:
            self.write(frames.HEARTBEAT_FRAME)
        self._timer = self._loop.call_later(every / 4, self._beat)


def end_for_all(sock: Any) -> None:
    """A supervisor may hold a duplicate of a socket: closing it here would leave the connection open."""
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _fail(waiting: deque[asyncio.Future[Any]], error: Exception) -> None:
    while waiting:
        future = waiting.popleft()
        if not future.done():
            with suppress(asyncio.InvalidStateError):
                future.set_exception(error)
            future.exception()


def _shut_down(sock: Any) -> None:
    """A supervisor may hold a duplicate of it: closing ours would leave the connection open."""
    with suppress(OSError, AttributeError):
        sock.shutdown(socket.SHUT_RDWR)


def _close_descriptor(number: int) -> None:
    """Here only. The number stays taken: its owner closes it again some day, and it must not be another's by then."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, number, inheritable=False)
    os.close(null)


async def connect(failover: Failover, seconds: float | None = None) -> AsyncConnection:
    """Try each broker once, beginning with the one that answered last. Raises `OperationalError`."""
    problem: Exception | None = None
    for _ in failover.brokers:
        address = failover.present
        limit = address.connect_seconds if seconds is None else min(seconds, address.connect_seconds)
        try:
            return await _open(address, limit)
        except (OSError, ProtocolError, ConnectionLost, TimeoutError) as error:
            problem = error
            failover.next()
    why = str(problem) or type(problem).__name__
    raise OperationalError(f"cannot connect to {failover.shown}: {why}") from problem


async def _open(address: Address, limit: float) -> AsyncConnection:
    tls = address.tls.context() if address.tls else None
    name = (address.tls.server_name or address.host) if address.tls else None
    connection = AsyncConnection(address)
    try:
        async with asyncio.timeout(limit):
            await asyncio.get_running_loop().create_connection(
                lambda: connection, address.host, address.port, ssl=tls, server_hostname=name
            )
            await connection.opened()
    except BaseException:
        connection.abort()
        raise
    return connection
