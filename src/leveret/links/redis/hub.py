"""One loop's connection to one server, shared by all its callers and waiters, and made anew when it breaks."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

from leveret.errors import LeveretError
from leveret.links.redis.conversation import INVALIDATED, Message
from leveret.links.redis.location import Location
from leveret.links.redis.loop import LoopConnection, connect
from leveret.links.redis.refusals import BROKEN_BY, Lost, Refusal, explain
from leveret.links.redis.results.listeners import Listeners
from leveret.links.redis.results.watch import Watch
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import Verb
from leveret.logic.retry import reconnect_delay

T = TypeVar("T")


class Hub:
    """Belongs to the loop it is made on, and ends with it. No other thread touches it."""

    def __init__(self, location: Location, channels: Channels, jitter: Callable[[], float]) -> None:
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._location = location
        self._channels = channels
        self._jitter = jitter
        self._listeners = Listeners(location.shown, channels, jitter)
        self._connection: LoopConnection | None = None
        self._connecting: asyncio.Task[LoopConnection] | None = None
        self._recovery: asyncio.Task[None] | None = None
        self._keeper: AsyncGenerator[None, None] | None = None
        self._ears: dict[bytes, Callable[[bytes], None]] = {}
        """Channels that are listened to for good, and who is told what is said there."""
        self.on_lost: Callable[[], None] = _nobody
        """Told when the connection is gone, after its waiters."""

    @property
    def ours(self) -> bool:
        """Whether the running loop of this process is the one it belongs to."""
        return self._loop is asyncio.get_running_loop() and self._pid == os.getpid()

    @property
    def over(self) -> bool:
        """Whether its loop or its process has ended."""
        return self._loop.is_closed() or self._pid != os.getpid()

    @property
    def connection(self) -> LoopConnection | None:
        """The connection, where there is one at the moment."""
        return self._connection

    async def perform(self, verb: Verb[T]) -> T:
        """Carry out a verb; where there is no connection one is tried, once."""
        connection = self._connection or await self._connected()
        try:
            commands = next(verb)
            while True:
                commands = verb.send(await connection.ask(list(commands)))
        except StopIteration as stop:
            done: T = stop.value
            return done
        except Refusal as refusal:
            if refusal.code in BROKEN_BY:
                connection.fail(refusal)
            raise explain(refusal, self._location.shown) from refusal

    async def ready(self) -> None:
        """Return when there is a connection; raises when one try brings none. What fails after that is unknown."""
        await self._connected()

    def listen(self, channel: bytes, ear: Callable[[bytes], None]) -> None:
        """Tell `ear` what is said on a channel from now on, on every connection there will be, until `ignore`. A name
        with a `*` is a pattern of channels."""
        self._ears[channel] = ear
        if self._connection is not None:
            self._subscribe(self._connection, (channel,))

    def ignore(self, channel: bytes) -> None:
        if self._ears.pop(channel, None) is not None and self._connection is not None and channel != INVALIDATED:
            verb = "PUNSUBSCRIBE" if b"*" in channel else "UNSUBSCRIBE"
            self._connection.send(((verb, channel),), (Deaf(self._channels),))

    def _subscribe(self, connection: LoopConnection, channels: Sequence[bytes]) -> None:
        channels = [channel for channel in channels if channel != INVALIDATED]
        patterns = [channel for channel in channels if b"*" in channel]
        plain = [channel for channel in channels if b"*" not in channel]
        if not self._channels.open:
            return
        for verb, chosen in (("SUBSCRIBE", plain), ("PSUBSCRIBE", patterns)):
            if chosen:
                connection.send(((verb, *chosen),), (Deaf(self._channels),))

    def _hear(self, message: Message) -> None:
        ear = self._ears.get(message[0])
        if ear is None:
            self._listeners.hear(message)
        else:
            ear(message[1])

    async def wait(self, watch: Watch, timeout: float) -> None:
        """Return when the watch is over or the time is; while the server is away somebody tries to reach it."""
        await self._listeners.wait(watch, timeout, self._recover)

    def close(self) -> None:
        """Close the connection; the hub may be used again."""
        for task in (self._connecting, self._recovery):
            if task is not None:
                task.cancel()
        connection, self._connection = self._connection, None
        error = Lost(f"the connection to Redis at {self._location.shown} was closed")
        self._listeners.lost(error)
        if connection is not None:
            connection.on_lost = _nothing
            connection.close()
        for waiter in self._listeners.waiters():
            waiter.fail(error)

    # Connecting

    async def _connected(self) -> LoopConnection:
        """The connection; all who ask while it is being made share the attempt and its error."""
        if self._connection is not None:
            return self._connection
        if self._connecting is None or self._connecting.done():
            self._connecting = self._loop.create_task(self._connect())
            self._connecting.add_done_callback(_retrieved)
        # Cancelling one caller must not end the attempt of the others.
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> LoopConnection:
        if self._keeper is None:
            self._keeper = _close_with_loop(self)
            await anext(self._keeper)
        connection = await connect(self._location)
        connection.on_message = self._hear
        connection.on_lost = self._on_lost
        self._connection = connection
        self._subscribe(connection, tuple(self._ears))
        self._listeners.resume(connection)
        return connection

    def _on_lost(self, error: Lost) -> None:
        self._connection = None
        self._listeners.lost(error)
        if self._listeners:
            self._recover()
        self.on_lost()

    def _recover(self) -> None:
        if self._recovery is None:
            self._recovery = self._loop.create_task(self._recovering())

    async def _recovering(self) -> None:
        """Connect again for as long as somebody waits, and no longer than an answer may take."""
        failures, since = 0, self._loop.time()
        try:
            while self._connection is None and self._listeners:
                try:
                    await self._connected()
                except LeveretError as error:
                    failures += 1
                    self._listeners.error = error
                    now = self._loop.time()
                    hopeless = not isinstance(error, Lost) or now - since >= self._location.answer_seconds
                    for waiter in self._listeners.waiters():
                        if hopeless or waiter.end <= now:
                            waiter.fail(error)
                    if hopeless:
                        return
                    await asyncio.sleep(reconnect_delay(failures, self._jitter()))
        finally:
            self._recovery = None


class Deaf:
    """Takes what Redis says to a subscription that nobody waits for: a refusal is remembered."""

    __slots__ = ("_channels",)

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    def take(self, answer: Any) -> None:
        if isinstance(answer, Refusal) and answer.code == "NOPERM":
            self._channels.close("subscribe")

    def lose(self, error: Lost) -> None:
        return


async def _close_with_loop(hub: Hub) -> AsyncGenerator[None, None]:
    """Close the hub when its loop shuts down: `asyncio.run` closes every generator that was begun on the loop."""
    try:
        yield
    finally:
        hub.close()
        await asyncio.sleep(0)


def _retrieved(task: "asyncio.Task[LoopConnection]") -> None:
    """Who waited may be gone; the error of the attempt is then nobody's."""
    if not task.cancelled():
        task.exception()


def _nothing(error: Lost) -> None:
    return


def _nobody() -> None:
    return
