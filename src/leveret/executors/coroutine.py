"""N coroutine slots on a loop of their own, so that a blocking coroutine cannot stop the I/O loop."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from leveret.executors.outcomes import Outcomes, struck
from leveret.executors.thread import ThreadExecutor
from leveret.executors.userloop import Interruptible, UserLoop
from leveret.model.delivery import Receipt
from leveret.model.outcome import Finished
from leveret.ports.executor import Job, Run, RunAsync

T = TypeVar("T")

SYNC_THREADS = 32
"""Plain functions run on at most so many threads beside the loop: they must not block it."""


class CoroutineExecutor:
    """`start`, `retract`, `finished`, `interrupt` belong to the I/O thread; `_active` and `_free` to the user loop."""

    def __init__(
        self, run: Run, run_async: RunAsync, slots: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        if slots < 1:
            raise ValueError(f"at least one slot, not {slots}")
        self.slots = slots
        self._run, self._run_async, self._monotonic = run, run_async, monotonic
        self._jobs: deque[Job] = deque()
        self._outcomes = Outcomes()
        self._user = UserLoop(on_thread=True)
        self._free: deque[int] = deque(range(slots))
        self._active: dict[Receipt, tuple[Job, float, Interruptible[Finished]]] = {}
        # Plain functions: `_slot_of` is written by the user loop before the thread can read it.
        self._slot_of: dict[Receipt, int] = {}
        self._crew = ThreadExecutor(self._run_plain, run_async, min(slots, SYNC_THREADS), monotonic=monotonic)
        self._ended = threading.Event()
        self._closing = False

    def open(self, wake: Callable[[], None]) -> None:
        self._outcomes.open(wake)
        self._crew.open(self._collect_soon)

    def start(self, jobs: tuple[Job, ...]) -> None:
        self._outcomes.under_way += len(jobs)
        self._jobs.extend(jobs)
        self._user.loop.call_soon_threadsafe(self._pump)

    def retract(self) -> tuple[Job, ...]:
        back: list[Job] = []
        while True:
            try:
                # From the right: the user loop may be popping from the left.
                back.append(self._jobs.pop())
            except IndexError:
                break
        back.reverse()
        self._outcomes.under_way -= len(back)
        return tuple(back)

    def finished(self) -> tuple[tuple[Job, Finished], ...]:
        return self._outcomes.drain()

    def running(self) -> tuple[tuple[Job, float], ...]:
        # A copy in one step: the user loop changes the dict meanwhile.
        active = tuple((job, since) for job, since, _ in list(self._active.values()))
        return active + self._crew.running()

    def interrupt(self, receipt: Receipt, error: type[BaseException]) -> bool:
        entry = self._active.get(receipt)
        if entry is None:
            return self._crew.interrupt(receipt, error)
        self._user.strike(entry[2], error)
        return True

    def where(self, receipt: Receipt) -> Any:
        """As the inline executor's."""
        entry = self._active.get(receipt)
        return self._crew.where(receipt) if entry is None else entry[2].inner

    def idle(self) -> int:
        if len(self._slot_of) > self._crew.slots:
            # Plain functions wait for a thread: more of them would only wait longer here than elsewhere.
            return 0
        return max(0, self.slots - self._outcomes.under_way)

    def close(self) -> None:
        self._crew.close()
        self._ended.set()

    def serve(self) -> None:
        """Hold the main thread until `close` was called. Signals are handled here."""
        self._ended.wait()
        self._crew.serve()

    def complete(self, work: Coroutine[Any, Any, T]) -> T:
        return self._user.complete(work)

    def dispose(self) -> None:
        self._user.close()

    def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        while self._free:
            try:
                job = self._jobs.popleft()
            except IndexError:
                return
            slot = self._free.popleft()
            if job.definition.is_async:
                work = Interruptible(self._run_async(job, slot))
                self._active[job.receipt] = (job, self._monotonic(), work)
                task = loop.create_task(work)
                task.add_done_callback(partial(self._end, job, slot))
            else:
                self._slot_of[job.receipt] = slot
                self._crew.start((job,))

    def _end(self, job: Job, slot: int, ended: "asyncio.Task[Finished]") -> None:
        del self._active[job.receipt]
        error = asyncio.CancelledError() if ended.cancelled() else ended.exception()
        self._put(job, slot, ended.result() if error is None else struck(error))

    def _put(self, job: Job, slot: int, finished: Finished) -> None:
        self._outcomes.add(job, finished)
        self._free.append(slot)
        loop = asyncio.get_running_loop()
        # After this turn of the loop: whatever ends in it is one batch.
        loop.call_soon(self._outcomes.ring)
        if self._jobs:
            self._pump()

    def _run_plain(self, job: Job, _thread: int) -> Finished:
        return self._run(job, self._slot_of[job.receipt])

    def _collect_soon(self) -> None:
        self._user.loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        for job, finished in self._crew.finished():
            self._put(job, self._slot_of.pop(job.receipt), finished)
