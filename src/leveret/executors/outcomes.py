"""Where slots put what has ended, and the I/O thread takes it: one wake-up per batch, never one per task."""

import time
from collections import deque
from collections.abc import Callable

from leveret.model.outcome import ErrorInfo, Failed, Finished
from leveret.ports.executor import Job


class Outcomes:
    """Filled by the slots, drained by the I/O thread, which also counts what is under way."""

    def __init__(self) -> None:
        self._done: deque[tuple[Job, Finished]] = deque()
        # True between a wake-up and the next drain. Unguarded: a race costs one wake-up too many, never one too few.
        self._rung = False
        self._wake: Callable[[], None] | None = None
        self.under_way = 0
        """Jobs started and neither drained nor retracted; I/O thread only."""

    def open(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def add(self, job: Job, finished: Finished) -> None:
        self._done.append((job, finished))

    def ring(self) -> None:
        if not self._rung and self._wake is not None:
            self._rung = True
            self._wake()

    def drain(self) -> tuple[tuple[Job, Finished], ...]:
        # Before the drain: what is added after it rings again.
        self._rung = False
        done, drained = self._done, []
        while done:
            drained.append(done.popleft())
        self.under_way -= len(drained)
        return tuple(drained)


def struck(error: BaseException) -> Finished:
    """The outcome of a run that an asynchronous exception ended outside of user code."""
    kind = type(error)
    info = ErrorInfo(type=kind.__name__, module=kind.__module__, text=str(error))
    return Finished(Failed(info), time.time(), 0.0)
