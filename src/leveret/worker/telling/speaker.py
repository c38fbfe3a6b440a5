"""Signals that are no run's: sent on a thread of their own, one after the other, so that no receiver stops the loop."""

import logging
import threading
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

from leveret.model.message import Message
from leveret.model.request import Request
from leveret.model.settlement import Settlement
from leveret.model.state import REVOKED
from leveret.model.task import TaskDefinition
from leveret.signals import (
    Signal,
    task_failure,
    task_internal_error,
    task_received,
    task_rejected,
    task_revoked,
    task_unknown,
)

log = logging.getLogger("leveret.worker")

GOODBYE_SECONDS = 5.0
"""How long a process that ends waits for receivers that have not returned."""


class Speaker:
    """The thread is started by the first signal that somebody listens to. Used by the I/O loop."""

    def __init__(self, hostname: str) -> None:
        self.consumer = SimpleNamespace(hostname=hostname)
        """The sender where Celery's is its consumer."""
        self._hostname = hostname
        self._calls: SimpleQueue[tuple[Signal, Any, dict[str, Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def say(self, signal: Signal, sender: Any, **named: Any) -> None:
        if not signal.receivers:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="leveret-signals", daemon=True)
            self._thread.start()
        self._calls.put((signal, sender, named))

    def close(self) -> None:
        """Wait until what was said has been heard."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join(GOODBYE_SECONDS)
            self._thread = None

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            signal, sender, named = call
            signal.send(sender, **named)

    # What happens to tasks outside of a run

    def received(self, message: Message) -> None:
        self.say(task_received, self.consumer, request=Request(message, hostname=self._hostname))

    def skipped(
        self, message: Message, settlement: Settlement, definition: TaskDefinition | None, *, expired: bool
    ) -> None:
        """A delivery ended without a run: revoked or expired, or nobody here knows the task."""
        record = settlement.record
        if record is not None and record.state == REVOKED and task_revoked.receivers:
            request = Request(message, hostname=self._hostname)
            task = None if definition is None else definition.task
            self.say(task_revoked, task, request=request, terminated=False, signum=None, expired=expired)
        elif definition is None and task_unknown.receivers:
            error = KeyError(message.task)
            self.say(task_unknown, self.consumer, message=message, exc=error, name=message.task, id=message.id)

    def revoked(self, message: Message, definition: TaskDefinition, signum: int | None) -> None:
        """A run ended as revoked: by `signum` from outside, or by itself."""
        if task_revoked.receivers:
            request = Request(message, hostname=self._hostname)
            terminated = signum is not None
            self.say(
                task_revoked, definition.task, request=request, terminated=terminated, signum=signum, expired=False
            )

    def broke(self, message: Message, definition: TaskDefinition, error: BaseException, einfo: Any) -> None:
        """What follows from a run could not be made: an error of ours, or of what the task handed us."""
        if task_internal_error.receivers:
            self.say(
                task_internal_error,
                definition.task,
                task_id=message.id,
                args=message.args,
                kwargs=message.kwargs,
                request=Request(message, hostname=self._hostname),
                exception=error,
                traceback=error.__traceback__,
                einfo=einfo,
            )

    def unread(self, message: Any, error: Exception) -> None:
        self.say(task_rejected, self.consumer, message=message, exc=error)

    def overran(self, message: Message, definition: TaskDefinition, error: BaseException, einfo: Any) -> None:
        """A run was ended from outside by its hard limit."""
        self.say(
            task_failure,
            definition.task,
            task_id=message.id,
            exception=error,
            args=message.args,
            kwargs=message.kwargs,
            traceback=None,
            einfo=einfo,
        )
