"""What a task may be declared with: `@app.task(limits=Rate("100/m"), breaker=CircuitBreaker(), ...)`."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leveret.errors import ImproperlyConfigured
from leveret.model.limiting.pace import counted

Key = Callable[..., Any]
"""Called with a task's own arguments; calls for which it answers the same (as text) share the limit."""


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` starts of a task in any stretch of its period, in the whole cluster: `Rate("100/m")`.

    `limit` is a number a second, or "n/s", "n/m", "n/h", as Celery's `rate_limit` has it. `burst`: how many may start
    at once after a quiet spell, beyond the even pace; None is a tenth of the limit, at least one.
    """

    limit: str | float
    key: Key | None = None
    burst: int | None = None

    def __post_init__(self) -> None:
        try:
            count, _ = counted(self.limit)
        except (ValueError, TypeError):
            count = 0.0
        if not count:
            raise ImproperlyConfigured(
                f'Rate({self.limit!r}): expected "10/s", "10/m", "10/h" or a number a second, above 0'
            )
        _check_key("Rate", self.key)
        if self.burst is not None and not _whole(self.burst):
            raise ImproperlyConfigured(f"Rate(burst={self.burst!r}): expected a whole number of at least 1")


@dataclass(frozen=True, slots=True)
class Concurrency:
    """At most `limit` runs of a task at the same time, in the whole cluster."""

    limit: int
    key: Key | None = None

    def __post_init__(self) -> None:
        if not _whole(self.limit):
            raise ImproperlyConfigured(f"Concurrency({self.limit!r}): expected a whole number of at least 1")
        _check_key("Concurrency", self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """Stop calling what is down: after `failures` failed runs within `within` seconds a task does not start for
    `recover` seconds; then one run probes, and its outcome closes the breaker or opens it again. Shared by the cluster.

    What a task `throws` on purpose (`Task.throws`), `Ignore`, `Reject` and `Snooze` are no failures.
    """

    failures: int = 5
    within: float = 60.0
    recover: float = 30.0
    key: Key | None = None

    def __post_init__(self) -> None:
        if not _whole(self.failures):
            raise ImproperlyConfigured(
                f"CircuitBreaker(failures={self.failures!r}): expected a whole number of at least 1"
            )
        for name in ("within", "recover"):
            if not _positive(getattr(self, name)):
                raise ImproperlyConfigured(f"CircuitBreaker({name}={getattr(self, name)!r}): expected seconds, above 0")
        _check_key("CircuitBreaker", self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryBudget:
    """How many retries of a task type may start: `share` of the last minute's successes, and `per_second` besides. What
    is beyond it waits for its turn; it is not dropped."""

    share: float = 0.1
    per_second: float = 10.0

    def __post_init__(self) -> None:
        if not _number(self.share) or self.share < 0:
            raise ImproperlyConfigured(f"RetryBudget(share={self.share!r}): expected a share of successes, 0 or more")
        if not _positive(self.per_second):
            # With 0 a task that has had no success for a minute would never be tried again.
            raise ImproperlyConfigured(f"RetryBudget(per_second={self.per_second!r}): expected a number above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique:
    """As `unique_for`, `unique_until`, `on_conflict` and `unique_by` of a task say it. Durations are seconds."""

    seconds: float
    until_start: bool = False
    """Whether the next one may be sent as soon as this one runs; else when it has ended for good."""
    conflict: str = "keep"
    """`keep`: the caller gets the result of the one that is there; `replace`: the new one takes its place unless it
    runs; `raise`: `TaskAlreadySent`."""
    key: Key | None = None
    """None: all arguments."""


MOST_IN_BATCH = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A task that gets a list of calls at once: at most `size` of them, or what came `within` seconds of the first."""

    size: int = 100
    within: float = 2.0

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or isinstance(self.size, bool) or not 1 <= self.size <= MOST_IN_BATCH:
            raise ValueError(f"Batch(size={self.size!r}): expected a whole number from 1 to {MOST_IN_BATCH}")
        if isinstance(self.within, bool) or not isinstance(self.within, int | float) or not 0 <= self.within <= 3600:
            raise ValueError(f"Batch(within={self.within!r}): expected seconds, from 0 to 3600")


def _check_key(what: str, key: Any) -> None:
    if key is not None and not callable(key):
        raise ImproperlyConfigured(
            f"{what}(key={key!r}): expected a function that is called with the task's arguments, "
            "such as key=lambda to, **_: to"
        )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0
