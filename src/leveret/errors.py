"""Every error Leveret raises, under one root; each class says who is to blame.

`CallerError`: the code that calls us. `PeerError`: what somebody else sent us. `BrokerError`: a broker or a store.
Names that Celery has keep Celery's meaning (`celery/exceptions.py`).
"""

import builtins
from typing import Any


class LeveretError(Exception):
    """The root of all errors of this package."""


class CallerError(LeveretError):
    """The calling code asked for something that cannot be."""


class PeerError(LeveretError):
    """Something we were sent cannot be used."""


class BrokerError(LeveretError):
    """A broker or result store could not do its part."""


class ImproperlyConfigured(CallerError):
    """A setting, URL or option is wrong; the message names it and what would be right."""


class UnknownSetting(ImproperlyConfigured, AttributeError, KeyError):
    """No setting has that name; `nearest` is the known name most like it. Attribute and key access both expect it."""

    def __init__(self, message: str, nearest: str | None = None) -> None:
        super().__init__(message)
        self.nearest = nearest

    def __str__(self) -> str:
        return str(self.args[0])


class MissingExtra(ImproperlyConfigured):
    """A driver's package is not installed; the message names the extra."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs a package that is not installed: pip install 'leveret[{extra}]'")
        self.what, self.extra = what, extra


class NotRegistered(CallerError, KeyError):
    """No task of that name is registered."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class AlreadyRegistered(CallerError):
    """A different task has that name already."""


class QueueNotFound(CallerError, KeyError):
    """No queue of that name is declared and `task_create_missing_queues` is off."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NoSuchEntry(CallerError, KeyError):
    """No entry of the schedule has that name."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class NotYet(CallerError, NotImplementedError):
    """Part of Celery's surface that this version does not have yet; the message says what to do instead."""


class EncodeError(CallerError):
    """An argument or result cannot be serialised; `path` says which, like `args[1].user`."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class MessageTooLarge(EncodeError):
    """The serialised message exceeds the limit."""


class ResultIgnored(CallerError):
    """`get()` of a task whose result is ignored would wait for ever."""


class DecodeError(PeerError):
    """A message or result cannot be read; it goes to the dead letters with this reason."""


class ContentDisallowed(DecodeError):
    """The content type is not in `accept_content`."""


class SecurityError(PeerError):
    """A signature is missing, wrong or too old."""


class PublishFailed(BrokerError):
    """The message was not accepted."""


class PublishUnknown(BrokerError):
    """The connection broke before the broker answered: sending again with the same id is safe.

    `repeatable`: sent again at once, it is taken for the same and cannot be there twice.
    """

    repeatable = True


class OperationalError(BrokerError):
    """The broker or store cannot be reached."""


class LeaseLost(BrokerError):
    """The session was reaped: what it held belongs to others now."""


class StoreBusy(BrokerError):
    """The store stayed locked for longer than the deadline."""


class TaskError(LeveretError):
    """Something about one task."""


class TimeoutError(TaskError, builtins.TimeoutError):  # noqa: A001 - Celery's name
    """A result did not come within the time given."""


class TaskRevokedError(TaskError):
    """The task was revoked or expired before it ran."""


class TaskAlreadySent(TaskError):
    """A unique task with `on_conflict="raise"` was sent while another with the same key has not ended."""

    def __init__(self, task: str, key: str, id: str) -> None:
        super().__init__(f"{task} was not sent: {id} has its unique key {key!r}")
        self.task, self.key, self.id = task, key, id

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.task, self.key, self.id)


class MaxRetriesExceededError(TaskError):
    """`self.retry()` was called when no retry is left."""

    def __init__(self, *args: Any, task_args: tuple[Any, ...] = (), task_kwargs: dict[str, Any] | None = None) -> None:
        super().__init__(*args)
        self.task_args, self.task_kwargs = task_args, task_kwargs or {}


class InvalidTaskError(TaskError, PeerError):
    """A message that is no task."""


class ChordError(TaskError):
    """A member of a chord failed."""


class WorkerLostError(TaskError):
    """The process that ran the task died."""


class IncompleteStream(TaskError):
    """A tree of results was walked before all of it had ended."""


class Terminated(TaskError):
    """The task was terminated by remote control."""


class SoftTimeLimitExceeded(LeveretError):
    """Raised inside a task when its soft time limit has passed."""

    def __str__(self) -> str:
        return "SoftTimeLimitExceeded" + (f"({', '.join(map(repr, self.args))})" if self.args else "()")


class TimeLimitExceeded(TaskError):
    """The hard time limit passed and the task was stopped."""


class RemoteError(TaskError):
    """An exception of a class this process does not have: `type_name`, `module` and the arguments as sent."""

    def __init__(self, type_name: str, module: str, *args: Any) -> None:
        super().__init__(type_name, module, *args)
        self.type_name, self.module, self.remote_args = type_name, module, args

    def __str__(self) -> str:
        return f"{self.module}.{self.type_name}({', '.join(map(repr, self.remote_args))})"


class TaskPredicate(LeveretError):
    """Raised by a task to say how it ended; not an error."""


class Retry(TaskPredicate):
    """The task will run again."""

    def __init__(self, message: str | None = None, exc: BaseException | None = None, when: Any = None) -> None:
        super().__init__(message or (repr(exc) if exc else "Task can be retried"))
        self.message, self.exc, self.when = message, exc, when
        self.outcome: Any = None
        """The `Retried` value `task.retry` made; None when user code raised `Retry` itself."""


class Ignore(TaskPredicate):
    """Acknowledge and store nothing."""

    replacement: Any = None
    """The signature that `task.replace` put in the task's place."""


class Reject(TaskPredicate):
    """Give the message back (`requeue=True`) or park it as a dead letter."""

    def __init__(self, reason: Any = None, requeue: bool = False) -> None:
        super().__init__(reason, requeue)
        self.reason, self.requeue = reason, requeue


class Snooze(TaskPredicate):
    """Run again in `seconds`; burns no retry."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = float(seconds)


class Cancel(TaskPredicate):
    """End as REVOKED with a reason; burns no retry."""

    def __init__(self, reason: str = "cancelled by the task") -> None:
        super().__init__(reason)
        self.reason = reason


class LeveretWarning(UserWarning):
    """The root of our warnings."""
