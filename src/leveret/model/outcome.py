"""How one run ended: a value the runner makes, `conclude` reads and nobody changes."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from leveret.model.signature import SignatureSpec


class ErrorInfo(Struct, frozen=True, kw_only=True):
    """An exception as data. `args` are what the serializer can carry, else their reprs."""

    type: str
    module: str
    args: tuple[Any, ...] = ()
    text: str = ""
    traceback: str = ""


class Succeeded(Struct, frozen=True):
    """`value` feeds what follows; `encoded` is the same value as the result serializer wrote it."""

    value: Any
    encoded: bytes = b"null"


class Failed(Struct, frozen=True):
    """`expected` is true for an exception the task lists in `throws`: logged as INFO, without a traceback."""

    error: ErrorInfo
    expected: bool = False


class Retried(Struct, frozen=True, kw_only=True):
    """Run again after `delay` seconds with attempt + 1; None keeps the message's own arguments and options."""

    delay: float
    error: ErrorInfo | None = None
    args: tuple[Any, ...] | None = None
    kwargs: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = {}
    expected: bool = False
    """As of `Failed`: the reason says nothing of what the task calls."""


class Replaced(Struct, frozen=True):
    """Another signature takes the task's place, its id and everything that was to follow it."""

    spec: SignatureSpec


class Snoozed(Struct, frozen=True):
    """Run again after `seconds`; burns no retry."""

    seconds: float


class Ignored(Struct, frozen=True):
    """The task raised Ignore: acknowledged, nothing stored."""


class Rejected(Struct, frozen=True):
    """The task raised Reject: back to the queue, or a dead letter."""

    reason: str
    requeue: bool = False


class Cancelled(Struct, frozen=True):
    """The task raised Cancel, or was ended from outside: stored as REVOKED with the reason, burns no retry, no error
    callbacks."""

    reason: str
    signum: int | None = None
    """The signal it was ended with by remote control."""


class Unstarted(Struct, frozen=True):
    """The runner was told to hold before the run began: give the delivery back."""


Outcome = Succeeded | Failed | Retried | Replaced | Snoozed | Ignored | Rejected | Cancelled | Unstarted


class Finished(Struct, frozen=True):
    """An outcome with the facts of its run."""

    outcome: Outcome
    started: float
    """Unix time."""
    runtime: float
    """Seconds on the monotonic clock."""
    children: tuple[Any, ...] = ()
    """What the run sent, each as Celery's `as_tuple`."""
    carried: Mapping[str, Any] = {}
    """Headers that what follows is sent with."""
