"""Who waits for which results on one loop: ten thousand waiters, one connection, no task of their own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from leveret.errors import LeveretError
from leveret.links.redis.conversation import Command, Message
from leveret.links.redis.loop import LoopConnection
from leveret.links.redis.refusals import BROKEN_BY, Lost, Refusal, explain
from leveret.links.redis.results.watch import Watch
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import good

LEFT_AT_ONCE, LEAVE_SECONDS = 64, 0.5
SUBSCRIBED_AT_ONCE = 500


class Listeners:
    """Channels and their waiters. `connection` is None while the server is away, and `error` says why."""

    def __init__(self, shown: str, channels: Channels, jitter: Callable[[], float]) -> None:
        self.loop = asyncio.get_running_loop()
        self.connection: LoopConnection | None = None
        self.error: LeveretError | None = None
        self.jitter = jitter
        self.shown = shown
        self._channels = channels
        self._waiting: dict[bytes, list[Waiter]] = {}
        self._subscribed: set[bytes] = set()
        self._leaving: set[bytes] = set()
        """Subscribed though nobody waits there: leaving is cheaper for many at once, and some come back."""
        self._timer: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def wait(self, watch: Watch, timeout: float, recover: Callable[[], None]) -> None:
        """Return when the watch is over or the time is."""
        waiter = Waiter(self, watch, self.loop.time() + timeout)
        for channel in watch.channels:
            self._waiting.setdefault(channel, []).append(waiter)
        self._leaving.difference_update(watch.channels)
        try:
            if self.connection is None:
                waiter.wake_at(waiter.end)
                recover()
            else:
                waiter.look(self._wish(watch.channels))
            await waiter.future
        finally:
            waiter.stop()
            for channel in watch.channels:
                self._part(channel, waiter)

    def hears(self, channels: Sequence[bytes]) -> bool:
        return self._subscribed.issuperset(channels)

    def hear(self, message: Message) -> None:
        for waiter in tuple(self._waiting.get(message[0], ())):
            waiter.hear(message)

    def waiters(self) -> "list[Waiter]":
        return list({id(waiter): waiter for there in self._waiting.values() for waiter in there}.values())

    # The connection comes and goes

    def resume(self, connection: LoopConnection) -> None:
        """A new connection hears nothing yet; and what was published meanwhile has to be read."""
        self.connection, self.error = connection, None
        connection.cork()
        channels = tuple(self._waiting)
        for start in range(0, len(channels), SUBSCRIBED_AT_ONCE):
            if (wish := self._wish(channels[start : start + SUBSCRIBED_AT_ONCE])) is not None:
                connection.send((wish.command,), (wish,))
        for waiter in self.waiters():
            waiter.look()

    def lost(self, error: LeveretError) -> None:
        self.connection, self.error = None, error
        self._subscribed.clear()
        self._leaving.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def deaf(self, channels: Sequence[bytes], refusal: Refusal) -> None:
        """The user has no right to these channels: who waits there looks by himself."""
        self._subscribed.difference_update(channels)
        if refusal.code == "NOPERM":
            self._channels.close("subscribe")
        for waiter in self.waiters():
            waiter.hurry()

    def _wish(self, channels: Sequence[bytes]) -> "Subscription | None":
        """To hear those of the channels that are not heard yet; None where there are none, or no right to them."""
        if self._subscribed.issuperset(channels) or not self._channels.open:
            return None
        new = [channel for channel in dict.fromkeys(channels) if channel not in self._subscribed]
        self._subscribed.update(new)
        return Subscription(self, "SUBSCRIBE", new)

    def _part(self, channel: bytes, waiter: "Waiter") -> None:
        there = self._waiting[channel]
        there.remove(waiter)
        if there:
            return
        del self._waiting[channel]
        if channel not in self._subscribed:
            return
        self._leaving.add(channel)
        if len(self._leaving) >= LEFT_AT_ONCE:
            self._leave()
        elif self._timer is None:
            self._timer = self.loop.call_later(LEAVE_SECONDS, self._leave)

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._leaving and self.connection is not None:
            self._subscribed -= self._leaving
            farewell = Subscription(self, "UNSUBSCRIBE", tuple(self._leaving))
            self.connection.send((farewell.command,), (farewell,))
        self._leaving.clear()


class Subscription:
    """Takes what Redis says to SUBSCRIBE or UNSUBSCRIBE."""

    __slots__ = ("_channels", "_listeners", "command")

    def __init__(self, listeners: Listeners, verb: str, channels: Sequence[bytes]) -> None:
        self._listeners, self._channels = listeners, channels
        self.command: Command = (verb, *channels)

    def take(self, answer: Any) -> None:
        if isinstance(answer, Refusal):
            self._listeners.deaf(self._channels, answer)

    def lose(self, error: Lost) -> None:
        return


class Waiter:
    """One wait: takes the answers of its looks, and its time is the only thing that moves it besides."""

    __slots__ = ("_listeners", "_timer", "_watch", "end", "future")

    def __init__(self, listeners: Listeners, watch: Watch, end: float) -> None:
        self._listeners = listeners
        self._watch = watch
        self._timer: asyncio.TimerHandle | None = None
        self.end = end
        self.future: asyncio.Future[None] = listeners.loop.create_future()

    def look(self, before: Subscription | None = None) -> None:
        """Ask what is stored, in one write with the subscription that has to come before it."""
        connection = self._listeners.connection
        if connection is None or self._watch.looking:
            return
        if before is None:
            connection.send((self._watch.look(),), (self,))
        else:
            connection.send((before.command, self._watch.look()), (before, self))

    def wake_at(self, moment: float) -> None:
        self._timer = self._listeners.loop.call_at(moment, self._wake)

    def take(self, answer: Any) -> None:
        try:
            self._watch.saw(good(answer))
        except Refusal as refusal:
            self._watch.lost()
            self._refused(refusal)
            return
        self._go_on()

    def lose(self, error: Lost) -> None:
        """Whoever connects anew looks anew."""
        self._watch.lost()

    def hear(self, message: Message) -> None:
        if self._watch.heard(*message):
            self.look()
        elif self._watch.over:
            self._go_on()

    def hurry(self) -> None:
        """No message will come: look soon."""
        if self._timer is not None and self._watch.looks:
            self._go_on()

    def fail(self, error: LeveretError) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self) -> None:
        self.stop()
        now = self._listeners.loop.time()
        if self.future.done():  # cancelled while a look was under way
            return
        if self._watch.over or now >= self.end:
            self.future.set_result(None)
        else:
            # Waiters that began together should not look together.
            pause = self._watch.pause(self._listeners.hears(self._watch.channels))
            self.wake_at(min(now + pause * (0.75 + self._listeners.jitter() / 2), self.end))

    def _wake(self) -> None:
        self._timer = None
        over = self._listeners.loop.time() >= self.end
        if self._listeners.connection is not None:
            if not over:
                self.look()
            elif not self._watch.looking:
                self._go_on()
        elif not over:
            self.wake_at(self.end)
        elif self._listeners.error is not None:
            self.fail(self._listeners.error)

    def _refused(self, refusal: Refusal) -> None:
        connection = self._listeners.connection
        if refusal.code in BROKEN_BY and connection is not None:
            connection.fail(refusal)
        else:
            self.fail(explain(refusal, self._listeners.shown))
