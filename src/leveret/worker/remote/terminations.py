"""Ending what runs, by its marks. A run is named by its receipt, so the next one in its slot is never meant.

Law: a job alone in its process is concluded while it still runs, and the process is replaced, as for a hard time
limit. In a shared process the job is asked first: a coroutine by CancelledError, a thread by `Terminated`; only when it
goes on all the same does the process go, after all others in it have ended.
"""

import asyncio
import logging
from collections.abc import Collection
from typing import Final

from leveret.errors import SoftTimeLimitExceeded, Terminated
from leveret.logic.remote.marks import of_message
from leveret.logic.remote.signums import signal_number
from leveret.model.delivery import Receipt
from leveret.model.outcome import Cancelled
from leveret.ports.executor import Executor, Job
from leveret.worker.dispatcher import Dispatcher
from leveret.worker.limits import TERMINATED

log = logging.getLogger("leveret.worker")

COROUTINE_SECONDS: Final = 5.0
THREAD_SECONDS: Final = 1.0
"""How long a job may take to end after it was asked to."""
_SOFT: Final = signal_number("USR1")
"""As in Celery: SIGUSR1 is a soft time limit."""


class Terminations:
    """Owned by the I/O loop."""

    def __init__(self, dispatcher: Dispatcher, executor: Executor) -> None:
        self._dispatcher, self._executor = dispatcher, executor

    def end(self, marks: Collection[str], signum: int) -> list[str]:
        """Answers the ids of what was running."""
        wanted = frozenset(marks)
        # What has ended by now is not to be struck: its outcome comes first.
        self._dispatcher.drain()
        hit = [one for one in self._dispatcher.running() if not wanted.isdisjoint(of_message(one[0].message))]
        for job, since in hit:
            log.warning("Terminating %s[%s] (signal %d)", job.message.task, job.message.id, signum)
            if signum == _SOFT:
                self._executor.interrupt(job.receipt, SoftTimeLimitExceeded)
            else:
                self._strike(job, since, signum)
        return [job.message.id for job, _ in hit]

    def _strike(self, job: Job, since: float, signum: int) -> None:
        terminated = self._dispatcher.limits.terminated
        if job.receipt in terminated:
            return
        terminated[job.receipt] = signum
        if job.definition.is_async:
            asked = self._executor.interrupt(job.receipt, asyncio.CancelledError)
            patience = COROUTINE_SECONDS
        elif self._executor.slots > 1:
            asked = self._executor.interrupt(job.receipt, Terminated)
            patience = THREAD_SECONDS
        else:
            self._expel(job, since)
            return
        if asked:
            asyncio.get_running_loop().call_later(patience, self._insist, job.receipt)

    def _insist(self, receipt: Receipt) -> None:
        for job, since in self._dispatcher.running():
            if job.receipt == receipt:
                self._expel(job, since)
        self._dispatcher.limits.terminated.pop(receipt, None)

    def _expel(self, job: Job, since: float) -> None:
        self._dispatcher.expel(
            job, since, Cancelled(TERMINATED, self._dispatcher.limits.terminated.get(job.receipt)), TERMINATED
        )
