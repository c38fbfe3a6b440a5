"""What a worker process tells its supervisor about itself, and does for it."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from leveret.logic.remote.infos import Facts, info
from leveret.logic.remote.marks import of_message
from leveret.model.remote.steering import Steering
from leveret.ports.executor import Job, apart
from leveret.worker.consumer import Consumer
from leveret.worker.context import WorkerParts
from leveret.worker.dispatcher import Dispatcher
from leveret.worker.remote.stacks import lines_of
from leveret.worker.remote.terminations import Terminations

Elsewhere = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
"""What only the app can answer (`wiring.remote`)."""


class Respondent:
    """Owned by the I/O loop."""

    def __init__(self, parts: WorkerParts, dispatcher: Dispatcher, consumer: Consumer) -> None:
        self._parts, self._dispatcher, self._consumer = parts, dispatcher, consumer
        self._own_queues = consumer.queues
        self._terminations = Terminations(dispatcher, parts.executor)
        self._answers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "active": self._active,
            "reserved": self._reserved,
            "query_task": self._query_task,
            "stats": self._stats,
            "stack": self._stack,
            "terminate": self._terminate,
        }

    @property
    def total(self) -> Mapping[str, int]:
        return self._dispatcher.intake.total

    def steer(self, steering: Steering) -> None:
        """Go by this from now on."""
        self._consumer.queues = self._own_queues if steering.queues is None else steering.queues
        self._dispatcher.limits.steered = steering.limits
        self._dispatcher.gatekeeper.rules.steer(steering.rates)
        revoked = frozenset(steering.revoked)
        fresh, self._dispatcher.intake.revoked = revoked - self._dispatcher.intake.revoked, revoked
        if fresh and any(not fresh.isdisjoint(of_message(job.message)) for job in self._unstarted()):
            # Claimed before it was revoked: handed over again it is seen.
            self._dispatcher.retract()

    async def answer(self, method: str, arguments: Mapping[str, Any], elsewhere: Elsewhere | None) -> Any:
        """Raises KeyError for what nobody here knows."""
        known = self._answers.get(method)
        if known is not None:
            return known(arguments)
        if elsewhere is None:
            raise KeyError(method)
        return await elsewhere(method, arguments)

    def _unstarted(self) -> tuple[Job, ...]:
        """Claimed and not begun, in order."""
        executor = self._parts.executor
        queued = executor.retract()
        if queued:
            executor.start(queued)
        return (*queued, *apart(self._dispatcher.starter.waiting), *self._dispatcher.gathered())

    def _active(self, arguments: Mapping[str, Any]) -> Any:
        safe = bool(arguments.get("safe"))
        return [self._running(job, since, safe=safe) for job, since in self._dispatcher.running()]

    def _reserved(self, arguments: Mapping[str, Any]) -> Any:
        return [self._waiting(job) for job in self._unstarted()]

    def _query_task(self, arguments: Mapping[str, Any]) -> Any:
        wanted = frozenset(arguments["ids"])
        found = {job.message.id: ["reserved", self._waiting(job)] for job in self._unstarted()}
        for job, since in self._dispatcher.running():
            found[job.message.id] = ["active", self._running(job, since)]
        return {key: state for key, state in found.items() if key in wanted}

    def _stats(self, arguments: Mapping[str, Any]) -> Any:
        return {
            "total": dict(self.total),
            "queues": dict(self._consumer.claimed),
            "running": len(self._dispatcher.running()),
            "credit": self._dispatcher.credit() + self._dispatcher.under_way,
        }

    def _stack(self, arguments: Mapping[str, Any]) -> Any:
        return [
            {
                "id": job.message.id,
                "name": job.message.task,
                "seconds": round(self._parts.clock.monotonic() - since, 3),
                "lines": lines_of(self._parts.executor, job.receipt),
            }
            for job, since in self._dispatcher.running()
        ]

    def _terminate(self, arguments: Mapping[str, Any]) -> Any:
        return self._terminations.end(arguments["marks"], arguments["signal"])

    def _running(self, job: Job, since: float, *, safe: bool = False) -> Any:
        clock = self._parts.clock
        started = clock.now() - (clock.monotonic() - since)
        return self._info(job, safe=safe, time_start=started, pid=os.getpid())

    def _waiting(self, job: Job) -> Any:
        return self._info(job, safe=False, time_start=None, pid=None)

    def _info(self, job: Job, *, safe: bool, time_start: float | None, pid: int | None) -> Any:
        facts = Facts(
            hostname=self._parts.node.name,
            time_start=time_start,
            worker_pid=pid,
            acknowledged=not job.definition.acks_late and time_start is not None,
            redelivered=job.count > 1,
        )
        return info(job.message, facts, safe=safe)
