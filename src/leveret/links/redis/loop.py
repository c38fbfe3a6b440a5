"""The asyncio pump: one connection of one loop, on which everything is asked at once and answered in order."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from hiredis import ProtocolError

from leveret.links.redis.conversation import Command, Conversation, Message
from leveret.links.redis.dial import broken, route, unreachable
from leveret.links.redis.location import Endpoint, Location, Unix
from leveret.links.redis.refusals import Lost
from leveret.links.redis.sockets import tune

READ_BYTES = 65_536
"""One buffer for all reads: asyncio would map and unmap a quarter of a megabyte for each, 25 us for the four bytes that
answer a send."""


class Taker(Protocol):
    """Who is told an answer; `lose`, perhaps more than once, that none will come."""

    def take(self, answer: Any) -> None: ...

    def lose(self, error: Lost) -> None: ...


class Exchange:
    """Collects the answers of some commands into a future."""

    __slots__ = ("_answers", "_left", "future")

    def __init__(self, future: "asyncio.Future[list[Any]]", commands: int) -> None:
        self.future = future
        self._answers: list[Any] = []
        self._left = commands

    def take(self, answer: Any) -> None:
        self._answers.append(answer)
        self._left -= 1
        if not self._left and not self.future.done():
            self.future.set_result(self._answers)

    def lose(self, error: Lost) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Deadlines:
    """Ends futures that wait for too long. One timer for all, as a timer for each costs a send 4 us; answers come in
    order, so those that are done are at the front."""

    def __init__(self, location: Location, loop: asyncio.AbstractEventLoop) -> None:
        self._location, self._loop = location, loop
        self._waiting: deque[tuple[float, asyncio.Future[list[Any]]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, end: float, future: "asyncio.Future[list[Any]]") -> None:
        waiting, timer = self._waiting, self._timer
        while waiting and waiting[0][1].done():
            waiting.popleft()
        waiting.append((end, future))
        if timer is None or end < timer.when():
            if timer is not None:
                timer.cancel()
            self._timer = self._loop.call_at(end, self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now, self._timer = self._loop.time(), None
        left = [(end, future) for end, future in self._waiting if not future.done()]
        self._waiting = deque((end, future) for end, future in left if end > now)
        for end, future in left:
            if end <= now:
                future.set_exception(Lost(f"Redis at {self._location.shown} did not answer in time"))
        if self._waiting:
            self._timer = self._loop.call_at(min(end for end, _ in self._waiting), self._look)


class LoopConnection(asyncio.BufferedProtocol):
    """Made by `connect`. `on_message` hears what is published, `on_lost` once why the connection ended."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._loop = asyncio.get_running_loop()
        self._conversation = Conversation()
        self._buffer = bytearray(READ_BYTES)
        self._deadlines = Deadlines(location, self._loop)
        self._takers: deque[Taker] = deque()
        self._transport: asyncio.Transport | None = None
        self._outbox: list[bytes] = []
        self._corked = False
        self._heard = 0
        self._watcher: asyncio.TimerHandle | None = None
        self._error: Exception | None = None
        self.alive = False
        self.on_message: Callable[[Message], None] = lambda message: None
        self.on_lost: Callable[[Lost], None] = lambda error: None

    # Asking

    def send(self, commands: Sequence[Command], takers: Sequence[Taker]) -> None:
        """Send commands and tell each's taker its answer. The first of a burst writes at once; where nothing is under
        way there is no burst yet, and a lone command costs no further turn of the loop."""
        if not self.alive or self._transport is None:
            lost = broken(self._location, self._error)
            for taker in takers:
                taker.lose(lost)
            return
        data = self._conversation.pack(commands)
        if self._corked:
            self._outbox.append(data)
        else:
            self._transport.write(data)
            if self._takers:
                self.cork()
        self._takers.extend(takers)
        if self._watcher is None:
            self._watch(self._heard, self._loop.time())

    def ask(self, commands: Sequence[Command]) -> "asyncio.Future[list[Any]]":
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        if not commands:
            future.set_result([])
            return future
        self.send(commands, (Exchange(future, len(commands)),) * len(commands))
        return future

    def ask_until(self, end: float, command: Command) -> "asyncio.Future[list[Any]]":
        """Ask one command; `Lost` when there is no answer at that moment of the loop's clock."""
        future = self.ask((command,))
        self._deadlines.add(end, future)
        return future

    def cork(self) -> None:
        """Gather what is sent in this turn of the loop into one write at its end."""
        if not self._corked:
            self._corked = True
            self._loop.call_soon(self._uncork)

    def _uncork(self) -> None:
        self._corked = False
        if self._outbox and self._transport is not None:
            self._transport.write(b"".join(self._outbox))
        self._outbox.clear()

    # Hearing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses.
        self._transport = cast(asyncio.Transport, transport)
        self.alive = True

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._heard += 1
        try:
            answers, messages = self._conversation.receive(self._buffer, nbytes)
        except ProtocolError as error:
            self.fail(error)
            return
        for answer in answers:
            self._takers.popleft().take(answer)
        for message in messages:
            self.on_message(message)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(self._error or error)

    # Ending

    def fail(self, error: Exception) -> None:
        """End the connection at once, with a reason."""
        self._error = error
        if self._transport is not None:
            self._transport.abort()
        self._end(error)

    def close(self) -> None:
        """End it when what was sent has left."""
        if self._transport is not None:
            self._transport.close()
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if not self.alive:
            return
        self.alive = False
        if self._watcher is not None:
            self._watcher.cancel()
        self._deadlines.close()
        lost = broken(self._location, error)
        lost.__cause__ = error
        takers, self._takers = self._takers, deque()
        for taker in takers:
            taker.lose(lost)
        self.on_lost(lost)

    def _watch(self, heard: int, since: float) -> None:
        """While an answer is owed: nothing heard for `answer_seconds` ends the connection. A dead peer sends no FIN."""
        now = self._loop.time()
        self._watcher = None
        if not self._takers:
            return
        if heard != self._heard:
            heard, since = self._heard, now
        if now - since >= self._location.answer_seconds:
            self.fail(TimeoutError())
            return
        self._watcher = self._loop.call_later(self._location.answer_seconds / 4, self._watch, heard, since)


async def connect(location: Location) -> LoopConnection:
    """Connect and greet; raises `OperationalError` within the location's seconds for each server tried."""
    path = route(location)
    call = next(path)
    while True:
        connection = LoopConnection(location)
        try:
            async with asyncio.timeout(location.connect_seconds):
                await _open(connection, location, call.endpoint)
                answers = await connection.ask(call.greeting)
        except (OSError, Lost) as error:
            connection.close()
            call = path.throw(unreachable(location, call.endpoint, error))
            continue
        except BaseException:
            connection.close()
            raise
        try:
            following = path.send(answers)
        except StopIteration:
            return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        call = following


async def _open(connection: LoopConnection, location: Location, endpoint: Endpoint) -> None:
    loop = asyncio.get_running_loop()
    if isinstance(endpoint, Unix):
        await loop.create_unix_connection(lambda: connection, endpoint.path)
        return
    tls = None if location.tls is None else location.tls.context()
    transport, _ = await loop.create_connection(
        lambda: connection, endpoint.host, endpoint.port, ssl=tls, server_hostname=endpoint.host if tls else None
    )
    tune(transport.get_extra_info("socket"))
