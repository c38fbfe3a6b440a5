"""What a `Task` object says of itself, and the settings' word where it says nothing, as one frozen value."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from leveret.client.limiting.declaring import check_limiting, check_rate, read_limiting
from leveret.client.options import Seconds, seconds
from leveret.client.tasks.arguments import by_its_names, by_position
from leveret.errors import ImproperlyConfigured
from leveret.model.limiting.calls import Call, alone
from leveret.model.limiting.declared import RetryBudget
from leveret.model.task import RetryPolicy, TaskDefinition

HOOKS = ("before_start", "on_success", "on_failure", "on_retry", "after_return")


class TaskDefaults(Protocol):
    """The settings a task falls back to (`config.Settings` is one)."""

    @property
    def task_acks_late(self) -> bool: ...
    @property
    def task_reject_on_worker_lost(self) -> bool | None: ...
    @property
    def task_ignore_result(self) -> bool: ...
    @property
    def task_store_errors_even_if_ignored(self) -> bool: ...
    @property
    def task_track_started(self) -> bool: ...
    @property
    def task_time_limit(self) -> float | None: ...
    @property
    def task_soft_time_limit(self) -> float | None: ...
    @property
    def task_default_rate_limit(self) -> str | None: ...
    @property
    def worker_disable_rate_limits(self) -> bool: ...
    @property
    def retry_budget(self) -> RetryBudget | None: ...
    @property
    def task_default_priority(self) -> int | None: ...
    @property
    def task_serializer(self) -> str: ...
    @property
    def task_compression(self) -> str | None: ...
    @property
    def task_annotations(self) -> Any: ...


def check_declared(task: Any) -> None:
    """Refuse what a task says of limits and fairness, where it is declared. Raises `ImproperlyConfigured`."""
    check_limiting(task)
    fairness(task.name, task.run, task.fair_by)


def define(task: Any, settings: TaskDefaults) -> TaskDefinition:
    """Make the definition of one task under these settings."""
    own = _OwnWord(task, annotations(settings.task_annotations, task.name))
    limiting = read_limiting(task.name, task.run, own.raw)
    rate_limit = own.text("rate_limit", settings.task_default_rate_limit)
    rated = check_rate(task.name, rate_limit) and not settings.worker_disable_rate_limits
    return TaskDefinition(
        name=task.name,
        run=task.runnable() if task.batch is None else batch_of_one(task),
        task=task,
        bind=False,  # `runnable()` is bound already
        is_async=inspect.iscoroutinefunction(task.run),
        retry=_retry_policy(own),
        acks_late=own("acks_late", settings.task_acks_late),
        reject_on_worker_lost=own("reject_on_worker_lost", settings.task_reject_on_worker_lost),
        ignore_result=own("ignore_result", settings.task_ignore_result),
        store_errors_even_if_ignored=own("store_errors_even_if_ignored", settings.task_store_errors_even_if_ignored),
        track_started=own("track_started", settings.task_track_started),
        time_limit=own.seconds("time_limit", settings.task_time_limit),
        soft_time_limit=own.seconds("soft_time_limit", settings.task_soft_time_limit),
        rate_limit=rate_limit if rated else None,
        limits=limiting.limits,
        unique=limiting.unique,
        breaker=limiting.breaker,
        fallback=limiting.fallback,
        retry_budget=settings.retry_budget if limiting.retry_budget is True else limiting.retry_budget,
        priority=own("priority", settings.task_default_priority),
        queue=own.text("queue", None),
        serializer=own("serializer", settings.task_serializer),
        compression=own("compression", settings.task_compression),
        expires=own.seconds("expires", None),
        throws=_classes(task.throws),
        dead_letter=bool(task.dead_letter),
        lane=task.lane,
        batch=task.batch,
        run_batch=None if task.batch is None else task.runnable(),
        fair_by=fairness(task.name, task.run, own("fair_by", None)),
        result_expires=own.seconds("result_expires", None),
        positional=() if inspect.ismethod(task.run) else by_position(task.run),
        hooks=overridden_hooks(task),
    )


def batch_of_one(task: Any) -> Callable[..., Any]:
    """A batch task's function for one call alone: with that call's arguments, the current request tells the rest."""
    run = task.runnable()

    def call() -> Call:
        return Call(task.request, task)

    def plain(*_args: Any, **_kwargs: Any) -> Any:
        one = call()
        return alone(one, run([one]))

    async def later(*_args: Any, **_kwargs: Any) -> Any:
        one = call()
        return alone(one, await run([one]))

    return later if inspect.iscoroutinefunction(task.run) else plain


class _OwnWord:
    """Reads an option of a task, or the default where the task leaves it open (None)."""

    def __init__(self, task: Any, noted: Mapping[str, Any]) -> None:
        self._task, self._noted = task, noted

    def raw(self, name: str) -> Any:
        return self._noted[name] if name in self._noted else getattr(self._task, name)

    def __call__(self, name: str, default: Any) -> Any:
        value = self.raw(name)
        return default if value is None else value

    def seconds(self, name: str, default: float | None) -> float | None:
        value: Seconds | None = self(name, default)
        return None if value is None else seconds(value)

    def text(self, name: str, default: str | None) -> str | None:
        value = self(name, default)
        return None if value is None else str(getattr(value, "name", value))


def annotations(setting: Any, name: str) -> dict[str, Any]:
    """What `task_annotations` says of one task: `{"*" or name: {option: value}}`, or a list of such and of objects."""
    noted: dict[str, Any] = {}
    for source in setting if isinstance(setting, list | tuple) else (setting,):
        if isinstance(source, Mapping):
            noted.update(source.get("*") or {})
            noted.update(source.get(name) or {})
    return noted


def _retry_policy(own: "_OwnWord") -> RetryPolicy:
    backoff = own("retry_backoff", False)
    return RetryPolicy(
        max_retries=own("max_retries", None),
        default_retry_delay=seconds(own("default_retry_delay", 180.0)),
        autoretry_for=_classes(own("autoretry_for", ())),
        dont_autoretry_for=_classes(own("dont_autoretry_for", ())),
        retry_backoff=(1.0 if backoff is True else seconds(backoff or 0.0)),
        retry_backoff_max=seconds(own("retry_backoff_max", 600.0)),
        retry_jitter=bool(own("retry_jitter", True)),
        retry_kwargs=dict(own("retry_kwargs", None) or {}),
    )


def _classes(value: Any) -> tuple[type[BaseException], ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, type) else tuple(value)


def fairness(name: str, run: Any, fair_by: Any) -> Any:
    """Check a task's `fair_by`, and make it one that is called as the task is."""
    if fair_by is None:
        return None
    if not callable(fair_by):
        raise ImproperlyConfigured(
            f"{name}: fair_by={fair_by!r}: expected a function of the task's arguments that answers whose turn a call "
            "is, as in fair_by=lambda tenant, **_: tenant"
        )
    return by_its_names(fair_by, run)


def overridden_hooks(task: Any) -> frozenset[str]:
    """The hooks a task's class (or the task itself) defines; the runner calls only these."""
    return frozenset(name for name in HOOKS if not getattr(getattr(task, name), "is_default_hook", False))


def check_task_options(options: Mapping[str, Any], known: Iterable[str], base: type) -> None:
    """Refuse a misspelt task option; a base class may declare attributes of its own."""
    names = set(known)
    for name in options:
        if name in names or hasattr(base, name):
            continue
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise TypeError(f"{name!r} is not a task option{hint}")
