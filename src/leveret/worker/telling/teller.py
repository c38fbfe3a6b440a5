"""What becomes of tasks, told to everybody who wants to hear it: the log, watchers of events, receivers of
signals."""

from collections.abc import Sequence

from leveret.errors import DecodeError, TimeLimitExceeded
from leveret.model.delivery import Encoded
from leveret.model.message import Message
from leveret.model.outcome import Cancelled, Failed, Finished
from leveret.model.settlement import Settlement
from leveret.model.task import TaskDefinition
from leveret.ports.executor import Job
from leveret.signals import task_received
from leveret.worker.logs import TaskLog
from leveret.worker.telling.around import ExceptionInfo
from leveret.worker.telling.counter import Counter
from leveret.worker.telling.emitter import Emitter
from leveret.worker.telling.speaker import Speaker


class Teller:
    """Owned by the I/O loop; with nobody listening each call is a few comparisons."""

    def __init__(self, log: TaskLog, emitter: Emitter, speaker: Speaker, counter: Counter) -> None:
        self._log, self.emitter, self.speaker, self.counter = log, emitter, speaker, counter

    def hears(self) -> bool:
        """Whether anybody is told of what is received."""
        return bool(self._log.info or self.emitter.on or task_received.receivers)

    def received(self, jobs: Sequence[Job]) -> None:
        if self._log.info:
            for job in jobs:
                self._log.received(job.message)
            self._log.flush()
        if self.emitter.on:
            self.emitter.received(jobs)
        if task_received.receivers:
            for job in jobs:
                self.speaker.received(job.message)

    def ended(self, job: Job, finished: Finished) -> None:
        if self._log.wanted(finished.outcome):
            self._log.ended(job.message, finished.outcome, finished.runtime)
        if self.emitter.on:
            self.emitter.ended(job, finished)
        if self.counter.on:
            self.counter.ended(job.message.task, finished)
        if type(finished.outcome) is Cancelled:
            self.speaker.revoked(job.message, job.definition, finished.outcome.signum)

    def broke(self, job: Job, error: Exception) -> None:
        """What follows from a run could not be made."""
        self.speaker.broke(job.message, job.definition, error, ExceptionInfo(error, repr(error)))

    def skipped(self, message: Message, settlement: Settlement, definition: TaskDefinition | None, now: float) -> None:
        """A delivery ended without a run."""
        if self.emitter.on:
            self.emitter.skipped(message, settlement)
        expired = message.expires is not None and now >= message.expires
        self.speaker.skipped(message, settlement, definition, expired=expired)

    def unread(self, encoded: Encoded, error: DecodeError) -> None:
        """A message that nobody could read is a dead letter now."""
        self.speaker.unread(encoded, error)

    def overran(self, job: Job, failed: Failed, limit: float) -> None:
        """A run was ended by its hard limit."""
        error = TimeLimitExceeded(limit)
        self.speaker.overran(job.message, job.definition, error, ExceptionInfo(error, failed.error.traceback))

    def flush(self) -> None:
        """A batch is told."""
        self._log.flush()
