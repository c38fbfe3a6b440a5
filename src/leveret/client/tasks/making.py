"""From a decorated function to a `Task`: its name, its options, and what is worth a warning at decoration."""

import dis
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from leveret.client.options import Seconds
from leveret.client.project import module_name
from leveret.client.tasks.definition import check_task_options
from leveret.errors import AlreadyRegistered, LeveretWarning
from leveret.model.limiting.declared import Batch, CircuitBreaker, Concurrency, Rate, RetryBudget


class TaskOptions(TypedDict, total=False):
    """What `@app.task(...)` takes besides `bind`. Durations are seconds or `timedelta`; None: the app's setting."""

    name: str | None
    base: Any
    max_retries: int | None
    default_retry_delay: Seconds
    autoretry_for: Any
    dont_autoretry_for: Any
    retry_backoff: Any
    retry_backoff_max: Seconds
    retry_jitter: bool
    retry_kwargs: Mapping[str, Any] | None
    acks_late: bool | None
    reject_on_worker_lost: bool | None
    ignore_result: bool | None
    store_errors_even_if_ignored: bool | None
    track_started: bool | None
    time_limit: Seconds | None
    soft_time_limit: Seconds | None
    rate_limit: Any
    limits: Rate | Concurrency | Sequence[Rate | Concurrency]
    unique_for: Seconds | None
    unique_until: Literal["start", "success"]
    on_conflict: Literal["keep", "replace", "raise"]
    unique_by: Callable[..., Any] | None
    breaker: CircuitBreaker | None
    fallback: Callable[..., Any] | None
    retry_budget: RetryBudget | bool | None
    fair_by: Callable[..., Any] | None
    priority: int | None
    queue: Any
    serializer: str | None
    compression: str | None
    expires: Seconds | None
    result_expires: Seconds | None
    throws: Any
    dead_letter: bool
    lane: str | None
    schedule: Any
    typing: bool
    shared: bool
    lazy: bool
    trail: bool
    send_events: bool
    resultrepr_maxsize: int
    acks_on_failure_or_timeout: bool | None


KNOWN = frozenset({*TaskOptions.__annotations__, "batch"})


def make_task(function: Callable[..., Any], options: Mapping[str, Any], default_base: type, main: str | None) -> Any:
    """Make the task of a function; it is bound to an app by whoever registers it."""
    given = dict(options)
    base: Any = given.pop("base", None) or default_base
    bind = bool(given.pop("bind", False))
    name = given.pop("name", None) or task_name(function.__name__, function.__module__, main)
    check_task_options(given, KNOWN, base)
    if not isinstance(given.get("batch"), Batch | None):
        raise TypeError(f"task {name}: batch={given['batch']!r} is no Batch(size=100, within=2)")
    if not bind:
        warn_of_global_self(function, name)
    return base.of_function(function, name, given, bind=bind)


def task_name(name: str, module: str, main: str | None) -> str:
    """`module.function`, the module as others import it."""
    return f"{module_name(module, main)}.{name}"


def warn_of_global_self(function: Any, name: str) -> None:
    """A task that uses `self` and is not bound fails at its first run, far from here."""
    code = getattr(function, "__code__", None)
    if code is None or "self" not in code.co_names or "self" in function.__globals__:
        return
    if any(
        step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and step.argval == "self" for step in dis.get_instructions(code)
    ):
        # Named by its own line: how deep the decorators above it are nested differs.
        warnings.warn_explicit(
            f"{name} reads a global `self`: a task gets itself as first argument only with bind=True",
            LeveretWarning,
            filename=code.co_filename,
            lineno=code.co_firstlineno,
            module=function.__module__,
        )


def refuse_other(existing: Any, task: Any) -> None:
    """Two functions cannot share a name; the same one decorated again (a reload, a notebook cell) replaces itself."""
    if existing is None or existing is task or _origin(existing) == _origin(task):
        return
    raise AlreadyRegistered(
        f"{task.name!r} is the task {'.'.join(_origin(existing))} already: give {'.'.join(_origin(task))} another name="
    )


def _origin(task: Any) -> tuple[str, str]:
    function = task.__dict__.get("__wrapped__", type(task))
    return module_name(function.__module__), function.__qualname__
