"""Slots whose jobs take simulated time."""

import asyncio
from collections import deque
from collections.abc import Callable

from leveret.model.delivery import Receipt
from leveret.model.outcome import Failed, Finished
from leveret.ports.executor import Job, Run
from leveret.testing.faults import Wire
from leveret.testing.simulation.history import History

KILLER = "killer"


class Killed(BaseException):
    """Raised by a task's function: its process dies there."""


class SimExecutor:
    """`ports.executor.Executor`. A job's time passes first, then its body runs at once; a killer takes the process
    with it; nothing ends in a dead process, and in a paused one only when it goes on."""

    def __init__(self, run: Run, slots: int, wire: Wire, history: History) -> None:
        self.slots = slots
        self._run, self._wire, self._history = run, wire, history
        self._jobs: deque[Job] = deque()
        self._active: dict[int, tuple[Job, float]] = {}
        self._free = list(range(slots))
        self._ended: list[tuple[Job, Finished]] = []
        self._wake: Callable[[], None] = lambda: None
        self._loop = asyncio.get_running_loop()

    def open(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def start(self, jobs: tuple[Job, ...]) -> None:
        self._jobs.extend(jobs)
        self._pump()

    def retract(self) -> tuple[Job, ...]:
        back = tuple(self._jobs)
        self._jobs.clear()
        return back

    def finished(self) -> tuple[tuple[Job, Finished], ...]:
        ended, self._ended = tuple(self._ended), []
        return ended

    def running(self) -> tuple[tuple[Job, float], ...]:
        return tuple(self._active.values())

    def interrupt(self, receipt: Receipt, error: type[BaseException]) -> bool:
        return False

    def idle(self) -> int:
        return max(0, len(self._free) - len(self._jobs))

    def close(self) -> None:
        self._jobs.clear()

    def _pump(self) -> None:
        while self._free and self._jobs and not self._wire.is_dead():
            job, slot = self._jobs.popleft(), self._free.pop()
            self._active[slot] = (job, self._loop.time())
            self._history.started(job, self._wire.name)
            self._loop.call_later(float(job.message.kwargs.get("seconds", 0.0)) + 0.001, self._end, slot)

    def _end(self, slot: int) -> None:
        wire = self._wire
        if wire.is_dead():
            return
        paused = wire.node.paused_until
        if paused > self._loop.time():
            self._loop.call_at(paused + 0.0001, self._end, slot)
            return
        job, _ = self._active[slot]
        if job.message.task == KILLER:
            wire.dead = True
            wire.on_crash()
            return
        finished = self._run(job, slot)
        if isinstance(finished.outcome, Failed) and finished.outcome.error.type == Killed.__name__:
            wire.dead = True
            wire.on_crash()
            return
        self._history.finished(job, finished)
        del self._active[slot]
        self._free.append(slot)
        self._ended.append((job, finished))
        self._wake()
        self._pump()
