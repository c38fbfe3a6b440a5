"""Soft and hard time limits of what runs, checked by the I/O loop."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from leveret.errors import SoftTimeLimitExceeded, TimeLimitExceeded
from leveret.model.delivery import Receipt
from leveret.model.options import WorkerOptions
from leveret.model.outcome import Cancelled, ErrorInfo, Failed, Outcome
from leveret.model.remote.steering import Limit
from leveret.ports.executor import Executor, Job

log = logging.getLogger("leveret.worker")

TERMINATED = "terminated"
COOPERATION_SECONDS = 1.0
"""How long a job in a shared process may take to end after the hard limit's exception before the process goes."""


class _Stage(Enum):
    SOFT = 1
    HARD = 2


@dataclass(slots=True, kw_only=True)
class Limits:
    """What each running job has been told. `exceeded(job, since, limit)` concludes it while it still runs."""

    options: WorkerOptions
    executor: Executor
    exceeded: Callable[[Job, float, float], None]
    steered: Mapping[str, Limit] = field(default_factory=dict)
    """By task, instead of its own; what a call says still wins."""
    terminated: dict[Receipt, int] = field(default_factory=dict)
    """Told to end by remote control, with which signal."""
    _stages: dict[Receipt, _Stage] = field(default_factory=dict)

    def check(self, running: tuple[tuple[Job, float], ...], now: float) -> float | None:
        """Act on what is over its limit; answers in how many seconds to check again, None: nothing is limited."""
        if self._stages:
            alive = {job.receipt for job, _ in running}
            self._stages = {receipt: stage for receipt, stage in self._stages.items() if receipt in alive}
        nexts = [wait for job, since in running if (wait := self._check(job, since, now)) is not None]
        return min(nexts, default=None)

    def named(self, job: Job, outcome: Outcome) -> Outcome:
        """The outcome of a job that ended when it was asked to: the exception raised in it could not carry a limit, and
        who was terminated has ended so, whatever he made of it."""
        if self.terminated and job.receipt in self.terminated:
            return Cancelled(TERMINATED, self.terminated.pop(job.receipt))
        if not isinstance(outcome, Failed):
            return outcome
        hard = self._of(job)[1]
        if hard is None or outcome.error.type != TimeLimitExceeded.__name__ or outcome.error.args:
            return outcome
        return too_long(hard, outcome.error.traceback)

    def _check(self, job: Job, since: float, now: float) -> float | None:
        soft, hard = self._of(job)
        elapsed, stage = now - since, self._stages.get(job.receipt)
        if hard is not None and elapsed >= hard:
            return self._hard(job, since, hard, elapsed, stage)
        if soft is not None and stage is None:
            if elapsed < soft:
                return soft - elapsed
            self._stages[job.receipt] = _Stage.SOFT
            log.warning("Soft time limit (%ss) exceeded for %s[%s]", soft, job.message.task, job.message.id)
            self.executor.interrupt(job.receipt, SoftTimeLimitExceeded)
        return None if hard is None else hard - elapsed

    def _hard(self, job: Job, since: float, hard: float, elapsed: float, stage: _Stage | None) -> float | None:
        # Alone in its process: the process is replaced, which always works. In a shared one the job is asked first,
        # for its neighbours' sake.
        shared = self.executor.slots > 1
        if shared and stage is not _Stage.HARD and self.executor.interrupt(job.receipt, TimeLimitExceeded):
            self._stages[job.receipt] = _Stage.HARD
            return hard + COOPERATION_SECONDS - elapsed
        if shared and elapsed < hard + COOPERATION_SECONDS:
            return hard + COOPERATION_SECONDS - elapsed
        self._stages.pop(job.receipt, None)
        self.exceeded(job, since, hard)
        return None

    def _of(self, job: Job) -> tuple[float | None, float | None]:
        message, definition, options = job.message, job.definition, self.options
        soft, hard = message.soft_time_limit, message.time_limit
        if self.steered and (limit := self.steered.get(message.task)) is not None:
            return soft or limit.soft or None, hard or limit.hard or None
        if soft is None:
            soft = options.soft_time_limit if definition.soft_time_limit is None else definition.soft_time_limit
        if hard is None:
            hard = options.time_limit if definition.time_limit is None else definition.time_limit
        return soft or None, hard or None


def too_long(limit: float, traceback: str = "") -> Failed:
    """The outcome of a job stopped by its hard limit."""
    return Failed(
        ErrorInfo(
            type=TimeLimitExceeded.__name__,
            module=TimeLimitExceeded.__module__,
            args=(limit,),
            text=f"TimeLimitExceeded({limit})",
            traceback=traceback,
        )
    )
