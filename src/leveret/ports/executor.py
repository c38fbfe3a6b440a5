"""Where user code runs."""

from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Protocol

from msgspec import Struct

from leveret.model.delivery import Receipt
from leveret.model.message import Message
from leveret.model.outcome import Finished
from leveret.model.task import TaskDefinition


class Job(Struct, frozen=True):
    """One admitted delivery, ready to run."""

    receipt: Receipt
    message: Message
    definition: TaskDefinition
    count: int = 1


class BatchJob(Job, frozen=True):
    """Several calls of one batch task, run at once; as a job of its own it is the first of them."""

    jobs: tuple[Job, ...] = ()


class FinishedBatch(Finished, frozen=True):
    """How each of them ended, in order."""

    each: tuple[Finished, ...] = ()


def batch_of(jobs: Iterable[Job]) -> BatchJob:
    calls = tuple(jobs)
    first = calls[0]
    return BatchJob(first.receipt, first.message, first.definition, first.count, calls)


def grouped(jobs: Iterable[Job]) -> Iterator[Job]:
    """Calls of one task become batches where its first one stands; all others stay as they are."""
    found: dict[str, list[Job]] = {}
    units: list[Job | list[Job]] = []
    for job in jobs:
        batch = job.definition.batch
        if batch is None or type(job) is BatchJob:
            units.append(job)
            continue
        group = found.get(job.message.task)
        if group is None or len(group) >= batch.size:
            group = found[job.message.task] = []
            units.append(group)
        group.append(job)
    for unit in units:
        yield batch_of(unit) if isinstance(unit, list) else unit


def apart(jobs: Iterable[Job]) -> Iterator[Job]:
    """Each call by itself."""
    for job in jobs:
        if type(job) is BatchJob:
            yield from job.jobs
        else:
            yield job


Run = Callable[[Job, int], Finished]
"""`runner.Runner.run`: (job, slot) -> how it ended; never raises."""

RunAsync = Callable[[Job, int], Coroutine[Any, Any, Finished]]
"""`runner.Runner.run_async`: its twin for `async def` tasks. Executors are made as `X(run, run_async, slots)`."""


class Runs(Protocol):
    """Both."""

    def run(self, job: Job, slot: int) -> Finished: ...

    async def run_async(self, job: Job, slot: int) -> Finished: ...


class Executor(Protocol):
    """Some slots of one kind. `start` and `retract` are called by the I/O thread only."""

    slots: int

    def open(self, wake: Callable[[], None]) -> None:
        """Begin taking jobs. `wake` is thread-safe; it is called once per batch of outcomes, never once per task."""
        ...

    def start(self, jobs: tuple[Job, ...]) -> None:
        """Queue jobs in order; idle slots pop them one at a time."""
        ...

    def retract(self) -> tuple[Job, ...]:
        """Take back everything no slot has popped yet."""
        ...

    def finished(self) -> tuple[tuple[Job, Finished], ...]:
        """Drain what has ended since the last call."""
        ...

    def running(self) -> tuple[tuple[Job, float], ...]:
        """What runs now and since when, on the monotonic clock (limits, retraction, the stop report)."""
        ...

    def interrupt(self, receipt: Receipt, error: type[BaseException]) -> bool:
        """Ask a running job to stop by raising `error` in it (soft limits); False when it is not running here."""
        ...

    def idle(self) -> int:
        """Slots that run nothing and have nothing queued for them."""
        ...

    def close(self) -> None:
        """Stop when the running jobs have ended."""
        ...
