"""What was claimed and may not begin goes back to the broker, uncounted, with a delay of its own."""

from leveret.logic.claiming.resting import Line
from leveret.model.delivery import Verdict
from leveret.model.settlement import Commitment
from leveret.ports.executor import Job


class Rests:
    """Owned by the I/O loop."""

    def __init__(self) -> None:
        self.queues: frozenset[str] = frozenset()
        """Nothing of them is claimed; a suspect on RabbitMQ comes from another queue, and claims go on for a moment."""
        self.tasks: frozenset[str] = frozenset()
        self._lines: dict[str, Line] = {}

    def order(self, queues: frozenset[str], tasks: frozenset[str]) -> None:
        """Let these rest from now on."""
        self.queues, self.tasks = queues, tasks
        self._lines = {name: line for name, line in self._lines.items() if name in queues or name in tasks}

    def __bool__(self) -> bool:
        return bool(self.queues or self.tasks)

    def divide(self, jobs: list[Job], now: float) -> tuple[list[Job], list[Commitment]]:
        """Those that may begin, and how the others end."""
        begin: list[Job] = []
        rest: list[Commitment] = []
        for job in jobs:
            message = job.message
            if message.task in self.tasks:
                rest.append(self._back(job, message.task, now))
            elif message.queue in self.queues:
                rest.append(self._back(job, message.queue, now))
            else:
                begin.append(job)
        return begin, rest

    def _back(self, job: Job, name: str, now: float) -> Commitment:
        delay = self._lines.setdefault(name, Line()).delay(now)
        return Commitment(receipt=job.receipt, verdict=Verdict.RELEASE, delay=delay, counted=False)
