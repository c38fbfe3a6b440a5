"""What is admitted and not given to the executor yet, in order."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from leveret.logic.credit import Credit
from leveret.ports.executor import Executor, Job
from leveret.worker.intake import Early
from leveret.worker.limiting.gatekeeper import Gatekeeper

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
        if self._starting or not self.waiting:
            return
        if plain := self._take_plain():
            self._owner.start(plain)
        slow = self._take_slow(self._executor.idle()) if self.waiting else []
        if slow:
            self._starting = len(slow)
            task = asyncio.get_running_loop().create_task(self._start_slowly(tuple(slow)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def has_own_step(self, job: Job) -> bool:
        """Whether it is asked of the gate, acknowledged or announced before it starts."""
        return _waits_for_store(job) or self._gatekeeper.asks(job)

    def _take_plain(self) -> Jobs:
        """Those at the front that may start as they are."""
        waiting, plain, known = self.waiting, list[Job](), None
        while waiting:
            job = waiting[0]
            # First attempts of one task are alike: most batches are of one.
            if job.definition is not known or job.message.attempt:
                if self.has_own_step(job):
                    break
                known = None if job.message.attempt else job.definition
            plain.append(waiting.popleft())
        return tuple(plain)

    def _take_slow(self, idle: int) -> list[Job]:
        """Those at the front with a step of their own: as many as slots are idle, and where only the gate is asked as
        many as that allows."""
        waiting, slow, known, most = self.waiting, list[Job](), None, idle
        while idle and waiting:
            job = waiting[0]
            if job.definition is not known or job.message.attempt:
                if not self.has_own_step(job):
                    break
                known = None if job.message.attempt else job.definition
                most = idle if _waits_for_store(job) else self._gatekeeper.ahead(job, idle)
            if len(slow) >= most:
                break
            slow.append(waiting.popleft())
        return slow

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


def _waits_for_store(job: Job) -> bool:
    return not job.definition.acks_late or job.definition.track_started
