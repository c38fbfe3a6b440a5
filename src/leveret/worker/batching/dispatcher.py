"""The dispatcher of an app that has batch tasks: their calls wait for one another before they are started.

To the rest of the worker each call is a delivery like any other: started, ended, settled, told, given back on its own.
"""

from typing import Any

from leveret.logic.credit import RETRACT_SECONDS
from leveret.logic.remote.marks import of_message
from leveret.ports.executor import Job, apart, batch_of
from leveret.worker.batching.gatherer import Gatherer
from leveret.worker.dispatcher import Dispatcher


class BatchingDispatcher(Dispatcher):
    """With an executor that knows batches (`executors.batches`)."""

    def __init__(self, *parts: Any, alone: bool) -> None:
        super().__init__(*parts)
        self._gatherer = Gatherer(self._begin, alone=alone)
        self.gathered, self.hurry = self._gatherer.jobs, self._gatherer.release
        self.starter.apart = apart
        self._looking = False

    def credit(self) -> int:
        self.appetite.room = self._gatherer.room()
        return super().credit()

    def busy(self) -> bool:
        return super().busy() or bool(self._gatherer.held)

    def _queue(self, jobs: list[Job]) -> int:
        calls = [job for job in jobs if job.definition.batch is not None]
        if not calls or self.closed:
            return super()._queue(jobs)
        others = [job for job in jobs if job.definition.batch is None]
        self.gatekeeper.received(calls, asked=False)
        self._gatherer.take(calls)
        return super()._queue(others) if others else 0

    def _begin(self, calls: list[Job]) -> None:
        """What was revoked or has expired while it waited goes back: handed over again it ends without a run."""
        now, revoked = self._clock.now(), self.intake.revoked
        stale = [
            job
            for job in calls
            if (job.message.expires is not None and job.message.expires <= now)
            or (revoked and not revoked.isdisjoint(of_message(job.message)))
        ]
        ready = [job for job in calls if job not in stale] if stale else calls
        if self.closed:
            stale, ready = calls, []
        self.give_back(stale)
        if not ready:
            return
        if any(map(self.starter.has_own_step, ready)):
            self.starter.add((batch_of(ready),))
        else:
            self.start(tuple(ready))
        if self._timer is not None:
            # Behind something that runs already: it is looked at as soon as that has run for too long.
            self._timer.cancel()
            self._arm(RETRACT_SECONDS)

    def _take_back(self) -> list[Job]:
        back = list(apart(super()._take_back()))
        return back if self._looking else [*back, *self._gatherer.take_back()]

    def _watch(self) -> None:
        """A long run sends back what stands behind it; what waits for company stands behind nobody."""
        self._looking = True
        try:
            super()._watch()
        finally:
            self._looking = False
