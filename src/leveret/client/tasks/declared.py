"""What a task says of itself: options as class attributes, hooks as methods; subclasses of `Task` set and override."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from leveret.client.options import Seconds
from leveret.errors import MaxRetriesExceededError
from leveret.model.limiting.declared import Batch

F = TypeVar("F", bound=Callable[..., Any])


def _default_hook(function: F) -> F:
    """Mark a hook that does nothing: the worker does not call it."""
    function.is_default_hook = True  # type: ignore[attr-defined] # functions take attributes; mypy does not know
    return function


class Declared:
    """Celery's names and defaults. An option that is None falls back to the app's setting when it is used."""

    name: str = ""
    typing: bool = True
    """Check a call's arguments against the function's signature."""
    abstract: bool = True

    max_retries: int | None = 3
    default_retry_delay: Seconds = 180.0
    autoretry_for: Any = ()
    dont_autoretry_for: Any = ()
    retry_kwargs: Mapping[str, Any] | None = None
    retry_backoff: Any = False
    retry_backoff_max: Seconds = 600.0
    retry_jitter: bool = True

    acks_late: bool | None = None
    reject_on_worker_lost: bool | None = None
    ignore_result: bool | None = None
    store_errors_even_if_ignored: bool | None = None
    track_started: bool | None = None
    throws: Any = ()
    dead_letter: bool = False
    lane: str | None = None
    batch: Batch | None = None
    """The function gets a list of calls (`leveret.Call`) instead of one call's arguments."""

    time_limit: Seconds | None = None
    soft_time_limit: Seconds | None = None
    rate_limit: Any = None
    """Starts on each node: "10/s", "10/m", "10/h", or a number a second."""
    limits: Any = ()
    """`Rate`, `Concurrency`, or several of them: for the whole cluster."""
    unique_for: Seconds | None = None
    """A second call is not sent while the first has not ended, for so long at most."""
    unique_until: str = "success"
    on_conflict: str = "keep"
    unique_by: Callable[..., Any] | None = None
    """Called with the arguments; None: all of them."""
    breaker: Any = None
    fallback: Callable[..., Any] | None = None
    retry_budget: Any = True
    """A `RetryBudget`; True: the app's setting; None: none."""
    fair_by: Callable[..., Any] | None = None
    """Called with a call's arguments; calls with the same answer share a turn, so that one tenant's backlog holds up no
    other."""
    priority: int | None = None
    queue: Any = None
    serializer: str | None = None
    compression: str | None = None
    expires: Seconds | None = None
    result_expires: Seconds | None = None
    schedule: Any = None
    """When it runs by itself: seconds, a timedelta, a crontab line, `crontab(...)`, or a dict as in `beat_schedule`."""

    MaxRetriesExceededError = MaxRetriesExceededError

    run: Callable[..., Any]

    def on_bound(self, app: Any) -> None:
        """Called when the task has been given to its app."""

    # Hooks, for subclasses.

    @_default_hook
    def before_start(self, task_id: str, args: Any, kwargs: Any) -> Any:
        """Called before the function runs."""

    @_default_hook
    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> Any:
        """Called when the function has returned."""

    @_default_hook
    def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> Any:
        """Called when the task has failed for good."""

    @_default_hook
    def on_retry(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> Any:
        """Called when the task will be tried again."""

    @_default_hook
    def after_return(self, status: str, retval: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> Any:
        """Called after every run, whatever came of it."""
