"""Slots that run tasks on the thread of a virtual loop, one after the other."""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from leveret.model.delivery import Receipt
from leveret.model.outcome import Finished
from leveret.ports.executor import Job, Runs

T = TypeVar("T")


class InPlaceExecutor:
    """`ports.executor.Executor` with one slot. Plain functions see no running loop, as in a real worker."""

    slots = 1

    def __init__(self, runner: Runs) -> None:
        self._runner = runner
        self._jobs: deque[Job] = deque()
        self._current: tuple[Job, float] | None = None
        self._ended: list[tuple[Job, Finished]] = []
        self._wake: Callable[[], None] = lambda: None
        self._coroutine: asyncio.Task[None] | None = None
        self.ran = 0

    def open(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def start(self, jobs: tuple[Job, ...]) -> None:
        self._jobs.extend(jobs)
        asyncio.get_running_loop().call_soon(self._next)

    def retract(self) -> tuple[Job, ...]:
        back = tuple(self._jobs)
        self._jobs.clear()
        return back

    def finished(self) -> tuple[tuple[Job, Finished], ...]:
        ended, self._ended = tuple(self._ended), []
        return ended

    def running(self) -> tuple[tuple[Job, float], ...]:
        return () if self._current is None else (self._current,)

    def interrupt(self, receipt: Receipt, error: type[BaseException]) -> bool:
        """Nothing can be interrupted on the thread that would have to do it."""
        return False

    def idle(self) -> int:
        # What nobody has fetched yet fills it too: a worker that rang for more meanwhile would let time pass.
        return 0 if self._current is not None or self._jobs or self._ended else 1

    def close(self) -> None:
        self._jobs.clear()

    def _next(self) -> None:
        if self._current is not None or not self._jobs:
            return
        loop = asyncio.get_running_loop()
        job = self._jobs.popleft()
        self._current = (job, loop.time())
        if job.definition.is_async:
            self._coroutine = loop.create_task(self._await(job))
        else:
            self._end(job, without_loop(lambda: self._runner.run(job, 0)))

    async def _await(self, job: Job) -> None:
        self._end(job, await self._runner.run_async(job, 0))

    def _end(self, job: Job, finished: Finished) -> None:
        self._current = None
        self.ran += 1
        self._ended.append((job, finished))
        self._wake()
        asyncio.get_running_loop().call_soon(self._next)


def without_loop(function: Callable[[], T]) -> T:
    """Call `function` as if no loop ran on this thread, so that it may run one of its own."""
    loop = events._get_running_loop()
    events._set_running_loop(None)
    try:
        return function()
    finally:
        events._set_running_loop(loop)
