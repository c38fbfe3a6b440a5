"""One slot on the main thread, where signals, C libraries and soft limits work (prefork and solo)."""

import ctypes
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, TypeVar

from leveret.executors.outcomes import Outcomes, struck
from leveret.executors.userloop import Interruptible, UserLoop
from leveret.model.delivery import Receipt
from leveret.model.outcome import Finished
from leveret.ports.executor import Job, Run, RunAsync

T = TypeVar("T")

USER_CODE = "call_user_code"
"""The runner's function around user code: only with it on the stack may a signal raise."""


class InlineExecutor:
    """`start`, `retract`, `finished`, `interrupt` belong to the I/O thread, `serve` to the main thread."""

    def __init__(
        self, run: Run, run_async: RunAsync, slots: int = 1, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        if slots != 1:
            raise ValueError(f"the main thread is one slot, not {slots}")
        self.slots = 1
        self._run, self._run_async, self._monotonic = run, run_async, monotonic
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._outcomes = Outcomes()
        self._user = UserLoop(on_thread=False)
        # Written by the main thread, read by the I/O thread.
        self._current: tuple[Job, float] | None = None
        self._coroutine: Interruptible[Finished] | None = None
        # Written by the I/O thread, read by the signal handler on the main thread.
        self._strike: tuple[Receipt, type[BaseException]] | None = None
        self._thread: int | None = None

    def open(self, wake: Callable[[], None]) -> None:
        self._outcomes.open(wake)

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
        current = self._current
        return () if current is None else (current,)

    def interrupt(self, receipt: Receipt, error: type[BaseException]) -> bool:
        current = self._current
        if current is None or current[0].receipt != receipt or self._thread is None:
            return False
        coroutine = self._coroutine
        if coroutine is not None:
            self._user.strike(coroutine, error)
            return True
        self._strike = (receipt, error)
        if _SIGNAL is not None:
            signal.pthread_kill(self._thread, _SIGNAL)
        else:
            raise_in_thread(self._thread, error)
        return True

    def where(self, receipt: Receipt) -> Any:
        """The thread a running job is on, or its coroutine; None when it is not running here."""
        current, coroutine = self._current, self._coroutine
        if current is None or current[0].receipt != receipt:
            return None
        return self._thread if coroutine is None else coroutine.inner

    def idle(self) -> int:
        return 0 if self._outcomes.under_way else 1

    def close(self) -> None:
        self._jobs.put(None)

    def serve(self) -> None:
        """Run jobs until `close`. Called on the main thread (elsewhere soft limits cannot break into a C call)."""
        self._thread = threading.get_ident()
        on_main = threading.current_thread() is threading.main_thread()
        before = signal.signal(_SIGNAL, self._on_signal) if _SIGNAL is not None and on_main else None
        try:
            # A blocked get() lets signal handlers run and goes on.
            while (job := self._jobs.get()) is not None:
                self._one(job)
        finally:
            if _SIGNAL is not None and on_main:
                signal.signal(_SIGNAL, before)

    def complete(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the user loop (lifespans). Main thread, while no job runs."""
        return self._user.complete(work)

    def dispose(self) -> None:
        """Close the user loop. Main thread, after `serve`."""
        self._user.close()

    def _one(self, job: Job) -> None:
        self._current = (job, self._monotonic())
        try:
            finished = self._await(job) if job.definition.is_async else self._run(job, 0)
        except BaseException as error:
            finished = struck(error)
        self._current = None
        self._outcomes.add(job, finished)
        if self._jobs.empty():
            self._outcomes.ring()

    def _await(self, job: Job) -> Finished:
        self._coroutine = Interruptible(self._run_async(job, 0))
        try:
            return self._user.complete(self._coroutine)
        finally:
            self._coroutine = None

    def _on_signal(self, _number: int, frame: FrameType | None) -> None:
        strike, current = self._strike, self._current
        if strike is None or current is None or current[0].receipt != strike[0]:
            return
        while frame is not None:
            if frame.f_code.co_name == USER_CODE:
                self._strike = None
                raise strike[1]()
            frame = frame.f_back


# Ignored by default, so that a stray one harms nobody, and used by nothing else (SIGUSR1 dumps a child's stacks).
# Windows has no such signal and gets the exception between two bytecodes.
_SIGNAL: signal.Signals | None = getattr(signal, "SIGURG", None) if hasattr(signal, "pthread_kill") else None


def drain(jobs: "SimpleQueue[Job | None]") -> list[Job]:
    """Everything nobody has popped yet, in order."""
    back: list[Job] = []
    while True:
        try:
            job = jobs.get_nowait()
        except Empty:
            return back
        if job is not None:
            back.append(job)


def raise_in_thread(thread: int, error: type[BaseException] | None) -> None:
    """Raise `error` in a thread at its next bytecode; None takes a pending one back."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)
