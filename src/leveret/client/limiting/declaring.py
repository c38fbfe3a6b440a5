"""What limits a task, as `@app.task(limits=..., unique_for=..., breaker=...)` says it; what is wrong is refused."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Literal, TypeVar

from leveret.client.tasks.arguments import by_its_names
from leveret.errors import ImproperlyConfigured
from leveret.logic.limiting.keys import arguments_text
from leveret.model.limiting.declared import CircuitBreaker, Concurrency, Key, Rate, RetryBudget, Unique
from leveret.model.limiting.pace import per_second

UNTIL = ("start", "success")
CONFLICTS = ("keep", "replace", "raise")

Keyed = TypeVar("Keyed", Rate, Concurrency, CircuitBreaker, Rate | Concurrency)
Read = Callable[[str], Any]
"""Answers an option of the task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiting:
    limits: tuple[Rate | Concurrency, ...] = ()
    unique: Unique | None = None
    breaker: CircuitBreaker | None = None
    fallback: Callable[..., Any] | None = None
    retry_budget: RetryBudget | Literal[True] | None = True
    """True: the app's setting."""


def read_limiting(name: str, run: Callable[..., Any], read: Read) -> Limiting:
    """Read and check the options of one task. Raises `ImproperlyConfigured` naming the task and the bad value."""
    breaker, fallback = read("breaker"), read("fallback")
    if breaker is not None and not isinstance(breaker, CircuitBreaker):
        raise _wrong(name, "breaker", breaker, "CircuitBreaker(...)")
    if fallback is not None and not callable(fallback):
        raise _wrong(name, "fallback", fallback, "a function that takes the task's arguments")
    if fallback is not None and breaker is None:
        raise ImproperlyConfigured(
            f"{name}: fallback={_shown(fallback)} would never run: it stands in while a breaker is open, "
            "which breaker=CircuitBreaker(...) makes"
        )
    return Limiting(
        limits=tuple(_keyed(limit, run) for limit in _limits(name, read("limits"))),
        unique=_unique(name, run, read),
        breaker=None if breaker is None else _keyed(breaker, run),
        fallback=fallback,
        retry_budget=_budget(name, read("retry_budget")),
    )


def check_limiting(task: Any) -> None:
    """Whatever a task says of its limits, at its declaration. Raises as those below do."""
    read_limiting(task.name, task.run, partial(getattr, task))
    check_rate(task.name, task.rate_limit)


def check_rate(name: str, rate_limit: Any) -> bool:
    """Whether that is a rate limit at all. Raises `ImproperlyConfigured` for what is none."""
    try:
        return per_second(rate_limit) > 0
    except (ValueError, TypeError):
        raise _wrong(name, "rate_limit", rate_limit, '"10/s", "10/m", "10/h" or a number a second') from None


def _limits(name: str, value: Any) -> tuple[Rate | Concurrency, ...]:
    if value is None:
        return ()
    given = (value,) if isinstance(value, Rate | Concurrency) else value
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise _wrong(name, "limits", value, "Rate(...), Concurrency(...) or a list of them")
    limits = tuple(given)
    for one in limits:
        if not isinstance(one, Rate | Concurrency):
            raise _wrong(name, "limits", one, "Rate(...), Concurrency(...) or a list of them")
    return limits


def _keyed(limit: Keyed, run: Callable[..., Any]) -> Keyed:
    """Its key is called as the task is, and gets the arguments it names."""
    return limit if limit.key is None else replace(limit, key=by_its_names(limit.key, run))


def _budget(name: str, value: Any) -> RetryBudget | Literal[True] | None:
    if value is True:
        return True
    if isinstance(value, RetryBudget):
        return value
    if value is None or value is False:
        return None
    raise _wrong(name, "retry_budget", value, "RetryBudget(...), True (the app's setting) or None")


def _unique(name: str, run: Callable[..., Any], read: Read) -> Unique | None:
    duration, until, conflict, by = map(read, ("unique_for", "unique_until", "on_conflict", "unique_by"))
    if until not in UNTIL:
        raise _wrong(name, "unique_until", until, '"start" or "success"')
    if conflict not in CONFLICTS:
        raise _wrong(name, "on_conflict", conflict, '"keep", "replace" or "raise"')
    if by is not None and not callable(by):
        raise _wrong(name, "unique_by", by, "a function that is called with the task's arguments")
    if duration is None:
        for option, value, default in (
            ("unique_until", until, "success"), ("on_conflict", conflict, "keep"), ("unique_by", by, None),
        ):  # fmt: skip
            if value != default:
                raise ImproperlyConfigured(
                    f"{name}: {option}={_shown(value)} says nothing without unique_for=, how long a call is unique"
                )
        return None
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise _wrong(name, "unique_for", duration, "seconds or a timedelta, above 0")
    return Unique(
        seconds=float(seconds),
        until_start=until == "start",
        conflict=conflict,
        key=by_its_names(by, run) if by else all_arguments(run),
    )


def all_arguments(run: Callable[..., Any]) -> Key:
    """A key of all arguments: the same for calls that give them by position, by name or by default."""
    try:
        signature = inspect.signature(run)
    except (TypeError, ValueError):
        return lambda *args, **kwargs: arguments_text({"args": args, "kwargs": kwargs})

    def key(*args: Any, **kwargs: Any) -> str:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return arguments_text(bound.arguments)

    return key


def _wrong(name: str, option: str, value: Any, right: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}: {option}={_shown(value)}: expected {right}")


def _shown(value: Any) -> str:
    return getattr(value, "__qualname__", None) or repr(value)
