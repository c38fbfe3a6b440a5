"""Wake-ups in one process: across threads and across event loops."""

import asyncio
import threading
from collections.abc import Iterable
from typing import Protocol


class Waiter(Protocol):
    def wake(self) -> None: ...


class LoopWaiter:
    """Wakes a coroutine of the loop that made it, from any thread."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    def wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._set)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    def _set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, timeout: float) -> None:
        timer = self._loop.call_later(timeout, self._set)
        try:
            await self._future
        finally:
            timer.cancel()


class ThreadWaiter:
    """Wakes a thread."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    def wake(self) -> None:
        self._event.set()

    def wait(self, timeout: float) -> None:
        self._event.wait(timeout)


class Bells:
    """Who waits for which names. Touched under the server's lock only."""

    def __init__(self) -> None:
        self._waiters: dict[str, list[Waiter]] = {}
        self._rung: dict[str, int] = {}

    def listen(self, names: Iterable[str], waiter: Waiter) -> None:
        for name in names:
            self._waiters.setdefault(name, []).append(waiter)

    def unlisten(self, names: Iterable[str], waiter: Waiter) -> None:
        for name in names:
            waiters = self._waiters.get(name, [])
            if waiter in waiters:
                waiters.remove(waiter)
            if not waiters:
                self._waiters.pop(name, None)

    def ring(self, name: str) -> None:
        self._rung[name] = self._rung.get(name, 0) + 1
        for waiter in self._waiters.get(name, ()):
            waiter.wake()

    def rung(self, name: str) -> int:
        """How often the bell of `name` rang: a listener that remembers it misses nothing in between."""
        return self._rung.get(name, 0)
