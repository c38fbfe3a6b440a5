"""An asyncio event loop whose time is a SimClock: when nothing is ready it jumps to the next timer."""

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

from leveret.testing.clock import SimClock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Stuck(RuntimeError):
    """Nothing is ready and no timer is set: what is awaited can never happen."""


class VirtualLoop(asyncio.BaseEventLoop):
    """One thread, no sockets, no real waiting; the same callbacks in the same order every time."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__()
        self.clock = clock

    def time(self) -> float:
        return self.clock.elapsed

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        # One thread owns everything here, so this needs no wake-up.
        return self.call_soon(callback, *args, context=context)

    def _run_once(self) -> None:
        """Replace the selector's turn (`asyncio/base_events.py:BaseEventLoop._run_once`)."""
        ready, timers, clock = self._ready, self._scheduled, self.clock  # type: ignore[attr-defined] # CPython's own
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
        if not ready:
            if not timers:
                if self._stopping:  # type: ignore[attr-defined] # CPython's own
                    return
                raise Stuck("every coroutine waits for something that nobody will do")
            clock.elapsed = max(clock.elapsed, timers[0]._when)
        while timers and timers[0]._when <= clock.elapsed:
            timer = heapq.heappop(timers)
            timer._scheduled = False
            ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

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
