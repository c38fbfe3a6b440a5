"""What is admitted and not given to the executor yet, in order."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from leveret.logic.credit import Credit
from leveret.ports.executor import Executor, Job
from leveret.worker.intake import Early
from leveret.worker.limiting.gatekeeper import Gatekeeper
from leveret.worker.limiting.queueing import has_own_step, take_plain, take_slow

Jobs = tuple[Job, ...]


class Owner(Protocol):
    """Whose jobs these are."""

    closed: bool
    """Start nothing more."""
    changed: asyncio.Event
    """Set when capacity may have appeared."""

    def start(self, jobs: Jobs) -> None: ...

    def give_back(self, jobs: list[Job]) -> None: ...


class Starter:
    """Owned by the I/O loop. A job with a step of its own is begun only when a slot is idle for it; until it has,
    nothing behind it is."""

    def __init__(self, owner: Owner, executor: Executor, gatekeeper: Gatekeeper, early: Early, credit: Credit) -> None:
        self._owner, self._executor = owner, executor
        self._gatekeeper, self._early, self._credit = gatekeeper, early, credit
        self.waiting: deque[Job] = deque()
        """From the first job on that needs a step of its own to start."""
        self._starting = 0
        """Jobs in that step: asked of the gate, acknowledged early, or announced as STARTED."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.apart: Callable[[Jobs], Iterable[Job]] = lambda jobs: jobs
        """The calls that stand together as one job."""

    def busy(self) -> bool:
        """Whether anything is unstarted."""
        return bool(self.waiting or self._starting)

    def add(self, jobs: Iterable[Job]) -> None:
        self.waiting.extend(jobs)
        self.pump()

    def take_back(self) -> list[Job]:
        """All that waits here."""
        waiting = list(self.waiting)
        self.waiting.clear()
        return waiting

    def pump(self) -> None:
        """Start what can start."""
        if self._starting:
            return
        if plain := take_plain(self.waiting, self._gatekeeper):
            self._owner.start(plain)
        slow = take_slow(self.waiting, self._executor.idle(), self._gatekeeper)
        if slow:
            self._starting = len(slow)
            task = asyncio.get_running_loop().create_task(self._start_slowly(tuple(slow)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def has_own_step(self, job: Job) -> bool:
        return has_own_step(job, self._gatekeeper)

    async def _start_slowly(self, jobs: Jobs) -> None:
        """Ask the gate about limited jobs, acknowledge at-most-once jobs and announce tracked ones, then start them at
        once: the slots are idle."""
        jobs = tuple(self.apart(jobs))
        try:
            if any(map(self._gatekeeper.asks, jobs)):
                jobs = await self._gatekeeper.let_in(jobs, self._credit)
                if self._owner.closed:
                    self._owner.give_back(list(jobs))
                    jobs = ()
            jobs = await self._early.acknowledge(jobs)
            await self._early.announce(jobs)
        finally:
            self._starting = 0
        if jobs:
            self._owner.start(jobs)
        self.pump()
        self._owner.changed.set()
