"""N slots on N threads of one process, fed by one queue."""

import threading
import time
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Any, TypeVar

from leveret.executors.inline import drain, raise_in_thread
from leveret.executors.outcomes import Outcomes, struck
from leveret.executors.userloop import Interruptible, UserLoop
from leveret.model.delivery import Receipt
from leveret.model.outcome import Finished
from leveret.ports.executor import Job, Run, RunAsync

T = TypeVar("T")


class ThreadExecutor:
    """`start`, `retract`, `finished`, `interrupt` belong to the I/O thread; each slot owns its `_Slot`."""

    def __init__(
        self, run: Run, run_async: RunAsync, slots: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        if slots < 1:
            raise ValueError(f"at least one slot, not {slots}")
        self.slots = slots
        self._run, self._run_async, self._monotonic = run, run_async, monotonic
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._outcomes = Outcomes()
        self._user = UserLoop(on_thread=True)
        self._slots = [_Slot(index) for index in range(slots)]
        self._threads: list[threading.Thread] = []
        self._ended = threading.Event()

    def open(self, wake: Callable[[], None]) -> None:
        self._outcomes.open(wake)
        for slot in self._slots:
            thread = threading.Thread(target=self._serve, args=(slot,), name=f"leveret-slot-{slot.index}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def start(self, jobs: tuple[Job, ...]) -> None:
        self._outcomes.under_way += len(jobs)
        for job in jobs:
            self._jobs.put(job)

    def retract(self) -> tuple[Job, ...]:
        back = drain(self._jobs)
        self._outcomes.under_way -= len(back)
        return tuple(back)

    def finished(self) -> tuple[tuple[Job, Finished], ...]:
        return self._outcomes.drain()

    def running(self) -> tuple[tuple[Job, float], ...]:
        return tuple(current for slot in self._slots if (current := slot.current) is not None)

    def interrupt(self, receipt: Receipt, error: type[BaseException]) -> bool:
        for slot in self._slots:
            current = slot.current
            if current is not None and current[0].receipt == receipt:
                return self._strike(slot, receipt, error)
        return False

    def where(self, receipt: Receipt) -> Any:
        """As the inline executor's."""
        for slot in self._slots:
            current, coroutine = slot.current, slot.coroutine
            if current is not None and current[0].receipt == receipt:
                return slot.thread if coroutine is None else coroutine.inner
        return None

    def idle(self) -> int:
        return max(0, self.slots - self._outcomes.under_way)

    def close(self) -> None:
        for _ in self._slots:
            self._jobs.put(None)
        self._ended.set()

    def serve(self) -> None:
        """Hold the main thread until `close` was called and every slot has ended. Signals are handled here."""
        self._ended.wait()
        for thread in self._threads:
            thread.join()

    def complete(self, work: Coroutine[Any, Any, T]) -> T:
        return self._user.complete(work)

    def dispose(self) -> None:
        self._user.close()

    def _strike(self, slot: "_Slot", receipt: Receipt, error: type[BaseException]) -> bool:
        with slot.guard:
            current = slot.current
            if current is None or current[0].receipt != receipt or slot.thread is None:
                return False
            if slot.coroutine is not None:
                self._user.strike(slot.coroutine, error)
            else:
                slot.struck = True
                raise_in_thread(slot.thread, error)
            return True

    def _serve(self, slot: "_Slot") -> None:
        slot.thread = threading.get_ident()
        while True:
            try:
                # Within the try: a second strike may come while the first is dealt with.
                self._rescue(slot)
                return self._work(slot)
            except Exception as error:
                # A strike between two lines of ours: the job it was meant for ends here.
                slot.error = error

    def _work(self, slot: "_Slot") -> None:
        while (job := self._jobs.get()) is not None:
            slot.current = (job, self._monotonic())
            try:
                finished = self._await(job, slot) if job.definition.is_async else self._run(job, slot.index)
            except BaseException as error:
                finished = struck(error)
            slot.clear()
            self._outcomes.add(job, finished)
            if self._jobs.empty():
                self._outcomes.ring()

    def _await(self, job: Job, slot: "_Slot") -> Finished:
        slot.coroutine = Interruptible(self._run_async(job, slot.index))
        try:
            return self._user.complete(slot.coroutine)
        finally:
            slot.coroutine = None

    def _rescue(self, slot: "_Slot") -> None:
        current, error = slot.current, slot.error
        if current is None or error is None:
            return
        slot.clear()
        self._outcomes.add(current[0], struck(error))
        self._outcomes.ring()


class _Slot:
    """One thread's state. `guard` keeps a strike from hitting the job after the one it was meant for."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.thread: int | None = None
        self.current: tuple[Job, float] | None = None
        self.coroutine: Interruptible[Finished] | None = None
        self.struck = False
        self.error: Exception | None = None
        """What came out between two lines of ours."""
        self.guard = threading.Lock()

    def clear(self) -> None:
        """The job has ended: no strike is meant for what comes next.

        A pending one is taken back while the job still stands here. It may be raised by the very call that takes it
        back, and whoever catches it then must find the job, or nobody would ever hear of its end.
        """
        with self.guard:
            if self.struck and self.thread is not None:
                raise_in_thread(self.thread, None)
            self.struck = False
            self.current = self.error = None
