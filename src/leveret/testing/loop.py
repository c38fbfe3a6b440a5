"""An asyncio event loop whose time is a SimClock: when nothing is ready it jumps to the next timer."""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, TypeVar, TypeVarTuple

from leveret.testing.clock import SimClock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Stuck(RuntimeError):
    """Nothing is ready and no timer is set: what is awaited can never happen."""


class Soon(asyncio.Handle):
    """A handle without the debug mode's questions: they are a tenth of a simulated run."""

    def __init__(self, callback: Any, args: Any, loop: asyncio.AbstractEventLoop, context: Context | None) -> None:
        self._context = copy_context() if context is None else context
        self._loop, self._callback, self._args = loop, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None


class Later(asyncio.TimerHandle):
    """As Soon, at `when`."""

    def __init__(
        self, when: float, callback: Any, args: Any, loop: asyncio.AbstractEventLoop, context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop, self._callback, self._args = loop, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None
        self._when, self._scheduled = when, False


class VirtualLoop(asyncio.BaseEventLoop):
    """One thread, no sockets, no real waiting; the same callbacks in the same order every time."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self.clock = clock
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timer_number = 0

    def time(self) -> float:
        return self.clock.elapsed

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = Soon(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined] # CPython's own
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        # One thread owns everything here, so this needs no wake-up.
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Timers of the same moment fire in the order they were set (asyncio's heap does not promise it)."""
        timer = Later(when, callback, args, self, context)
        self._timer_number += 1
        heapq.heappush(self._timers, (when, self._timer_number, timer))
        return timer

    def _run_once(self) -> None:
        """Replace the selector's turn (`asyncio/base_events.py:BaseEventLoop._run_once`)."""
        ready, timers, clock = self._ready, self._timers, self.clock  # type: ignore[attr-defined] # CPython's own
        while True:
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not ready:
                if not timers:
                    raise Stuck("every coroutine waits for something that nobody will do")
                clock.elapsed = max(clock.elapsed, timers[0][0])
            while timers and timers[0][0] <= clock.elapsed:
                ready.append(heapq.heappop(timers)[2])
            for _ in range(len(ready)):
                handle = ready.popleft()
                if not handle._cancelled:
                    handle._run()
            if self._stopping:  # type: ignore[attr-defined] # CPython's own
                return

    def _process_events(self, events: Any) -> None:
        """BaseEventLoop asks for it; there are no events."""

    def _write_to_self(self) -> None:
        """BaseEventLoop asks for it; there is nobody to wake."""


def run_virtual(main: Coroutine[Any, Any, T], clock: SimClock) -> T:
    """Run `main` to its end in virtual time, then cancel what it left behind."""
    loop = VirtualLoop(clock)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        leave_nothing(loop)
        asyncio.set_event_loop(None)
        loop.close()


def leave_nothing(loop: VirtualLoop) -> None:
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    with suppress(Stuck):
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
