"""What a registered task is: a name, a function, and the options it was declared with."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from leveret.model.limiting.declared import Batch, CircuitBreaker, Concurrency, Rate, RetryBudget, Unique


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed run is tried again. `max_retries=None` means without limit."""

    max_retries: int | None = 3
    default_retry_delay: float = 180.0
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    retry_backoff: float = 0.0
    """Seconds of the first back-off step; 0 turns back-off off (`retry_backoff=True` is 1)."""
    retry_backoff_max: float = 600.0
    retry_jitter: bool = True
    retry_kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """What the worker needs to know of a task. `run` is called with the message's arguments.

    Options that are None fall back to the settings' value, as in Celery.
    """

    name: str
    run: Callable[..., Any]
    task: Any = None
    """The object `@app.task` returned: hooks (`on_success`, ...) are looked up on it; `bind=True` passes it."""
    bind: bool = False
    is_async: bool = False
    retry: RetryPolicy = RetryPolicy()
    acks_late: bool = True
    reject_on_worker_lost: bool | None = None
    ignore_result: bool = False
    store_errors_even_if_ignored: bool = False
    track_started: bool = False
    time_limit: float | None = None
    soft_time_limit: float | None = None
    rate_limit: str | None = None
    """For each node; what holds for the cluster is in `limits`."""
    limits: tuple[Rate | Concurrency, ...] = ()
    unique: Unique | None = None
    breaker: CircuitBreaker | None = None
    fallback: Callable[..., Any] | None = None
    """Run in the task's place while its breaker is open."""
    retry_budget: RetryBudget | None = None
    priority: int | None = None
    queue: str | None = None
    serializer: str = "json"
    compression: str | None = None
    expires: float | None = None
    throws: tuple[type[BaseException], ...] = ()
    dead_letter: bool = False
    lane: str | None = None
    batch: Batch | None = None
    """`run` is a batch of one then, and `run_batch` takes a list of calls."""
    run_batch: Callable[..., Any] | None = None
    fair_by: Callable[..., Any] | None = None
    """Called as `run` is; calls for which it answers the same (as text) share a turn at their queue."""
    result_expires: float | None = None
    positional: tuple[str, ...] = ()
    """Names of the parameters its function takes by position: how an error callback is told of a failure. Empty for
    a bound task, as with Celery."""
    hooks: frozenset[str] = frozenset()
    """The hook names the task's class overrides; the runner calls only these."""
    limited: bool = field(init=False, default=False)
    """Whether somebody is asked before each of its runs."""

    def __post_init__(self) -> None:
        limited = bool(self.limits or self.unique or self.breaker or self.rate_limit)
        object.__setattr__(self, "limited", limited)

    @property
    def says_nothing(self) -> bool:
        """Whether nothing of a call without options depends on more than the task's name."""
        return self.expires is None and self.result_expires is None and self.fair_by is None


class Registry(Protocol):
    """Name -> definition. `find` answers None for a task nobody registered here."""

    def find(self, name: str) -> TaskDefinition | None: ...

    def __iter__(self) -> Iterator[str]: ...
