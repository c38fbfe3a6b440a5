"""Shows whoever starts jobs each call of a batch as a job of its own, and its slots one job for all of them."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

from leveret.errors import Terminated
from leveret.model.delivery import Receipt
from leveret.model.outcome import Finished
from leveret.ports.executor import BatchJob, Executor, FinishedBatch, Job, apart, grouped

T = TypeVar("T")
Asked = tuple[Receipt, type[BaseException]]


class BatchExecutor:
    """`ports.executor.Executor`, and what a worker process asks of one besides. Its `start` takes the calls of one
    batch together; owned by the I/O thread like the one inside."""

    def __init__(self, inner: Executor) -> None:
        self._inner: Any = inner
        self.slots = inner.slots
        self._runs: dict[Receipt, BatchJob] = {}
        """By call."""
        self._struck: set[Asked] = set()

    def open(self, wake: Callable[[], None]) -> None:
        self._inner.open(wake)

    def start(self, jobs: tuple[Job, ...]) -> None:
        units = tuple(grouped(jobs))
        for unit in units:
            if type(unit) is BatchJob:
                self._runs.update(dict.fromkeys([job.receipt for job in unit.jobs], unit))
        self._inner.start(units)

    def retract(self) -> tuple[Job, ...]:
        back = self._inner.retract()
        self._forget(back)
        return tuple(apart(back))

    def finished(self) -> tuple[tuple[Job, Finished], ...]:
        ended = self._inner.finished()
        self._forget([job for job, _ in ended])
        return tuple(each for job, finished in ended for each in _each(job, finished))

    def running(self) -> tuple[tuple[Job, float], ...]:
        return tuple((each, since) for job, since in self._inner.running() for each in apart((job,)))

    def interrupt(self, receipt: Receipt, error: type[BaseException]) -> bool:
        """A limit is the whole run's: the first call that is over it ends it, once. Whoever terminates one call means
        no other: the run goes on, and that call's outcome is what was said (`Limits.named`)."""
        run = self._runs.get(receipt)
        if run is None or len(run.jobs) == 1:
            answer: bool = self._inner.interrupt(receipt, error)
            return answer
        if issubclass(error, asyncio.CancelledError | Terminated):
            return False
        if (run.receipt, error) in self._struck:
            return True
        struck: bool = self._inner.interrupt(run.receipt, error)
        if struck:
            self._struck.add((run.receipt, error))
        return struck

    def where(self, receipt: Receipt) -> Any:
        run = self._runs.get(receipt)
        found = getattr(self._inner, "where", None)
        return None if found is None else found(receipt if run is None else run.receipt)

    def idle(self) -> int:
        idle: int = self._inner.idle()
        return idle

    def close(self) -> None:
        self._inner.close()

    def serve(self) -> None:
        self._inner.serve()

    def complete(self, work: Coroutine[Any, Any, T]) -> T:
        done: T = self._inner.complete(work)
        return done

    def dispose(self) -> None:
        self._inner.dispose()

    def _forget(self, units: Iterable[Job]) -> None:
        for unit in units:
            if type(unit) is BatchJob:
                for job in unit.jobs:
                    self._runs.pop(job.receipt, None)
                self._struck = {asked for asked in self._struck if asked[0] != unit.receipt}


def _each(job: Job, finished: Finished) -> Iterator[tuple[Job, Finished]]:
    if type(job) is not BatchJob:
        yield job, finished
    elif isinstance(finished, FinishedBatch):
        yield from zip(job.jobs, finished.each, strict=True)
    else:
        # Held before it began, or struck outside of user code.
        yield from ((one, finished) for one in job.jobs)
