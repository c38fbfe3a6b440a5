"""Calls of batch tasks until there are enough of them, or the first has waited long enough.

They are claimed and have not begun: when the process dies or stops they go back to the broker, uncounted.
"""

import asyncio
from collections.abc import Callable

from leveret.logic.claiming.appetite import MOST
from leveret.model.limiting.declared import Batch
from leveret.ports.executor import Job


class Gatherer:
    """Owned by the I/O loop. `begin` gets a batch that is complete, at most `size` calls of one task."""

    def __init__(self, begin: Callable[[list[Job]], None], *, alone: bool) -> None:
        """`alone`: nothing waits for company (what a quarantine child holds when it dies is convicted)."""
        self._begin, self._alone = begin, alone
        self._calls: dict[str, list[Job]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._sizes: dict[str, int] = {}

    @property
    def held(self) -> int:
        return sum(map(len, self._calls.values()))

    def jobs(self) -> list[Job]:
        return [job for calls in self._calls.values() for job in calls]

    def room(self) -> int:
        """How many calls more fill the batch that is nearest to its size."""
        free = [self._sizes[name] - len(calls) for name, calls in self._calls.items()]
        return min(free or self._sizes.values(), default=MOST)

    def take(self, jobs: list[Job]) -> None:
        for job in jobs:
            batch, name = job.definition.batch, job.message.task
            assert batch is not None
            size = self._sizes[name] = 1 if self._alone else batch.size
            calls = self._calls.setdefault(name, [])
            calls.append(job)
            if len(calls) >= size:
                self._release(name)
            elif len(calls) == 1:
                self._wait(name, batch)

    def release(self) -> None:
        """All that is here begins now."""
        for name in list(self._calls):
            self._release(name)

    def take_back(self) -> list[Job]:
        back = self.jobs()
        for name in list(self._calls):
            self._forget(name)
        return back

    def _wait(self, name: str, batch: Batch) -> None:
        self._timers[name] = asyncio.get_running_loop().call_later(batch.within, self._release, name)

    def _release(self, name: str) -> None:
        calls = self._forget(name)
        if calls:
            self._begin(calls)

    def _forget(self, name: str) -> list[Job]:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        return self._calls.pop(name, [])
