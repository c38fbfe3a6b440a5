"""What a call may be told, and what it becomes: one table for `apply_async`, `options`, `send_task` and signatures."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, TypedDict

from leveret.errors import ImproperlyConfigured

Seconds = float | timedelta


class CallOptions(TypedDict, total=False):
    """The options of one call, under Celery's names. Durations are seconds or `timedelta`."""

    task_id: str | None
    countdown: Seconds | None
    eta: datetime | None
    expires: Seconds | datetime | None
    queue: Any
    """A name or a `Queue`."""
    exchange: Any
    routing_key: str | None
    priority: int | None
    fair_key: Any
    """Whose turn the call is, where the task's `fair_by` cannot say it here; None: as `fair_by` says."""
    serializer: str | None
    compression: str | None
    headers: Mapping[str, Any] | None
    time_limit: Seconds | None
    soft_time_limit: Seconds | None
    ignore_result: bool | None
    result_expires: Seconds | None
    link: Any
    link_error: Any
    add_to_parent: bool
    shadow: str | None
    argsrepr: str | None
    """What monitors are shown instead of the arguments (events, `inspect active` with `safe`, Celery's logs)."""
    kwargsrepr: str | None
    reply_to: str | None
    root_id: str | None
    parent_id: str | None
    group_id: str | None
    group_index: int | None
    chord: Any
    chain: Sequence[Any] | None
    retries: int
    replaced_task_nesting: int
    stamped_headers: Sequence[str] | None
    timeout: Seconds | None
    """How long the publish itself may take."""
    retry: bool
    retry_policy: Mapping[str, Any] | None


MOST_PRIORITY = 255
"""RabbitMQ's limit; what is above 9 counts as 9."""

KNOWN = frozenset(CallOptions.__annotations__)

NOT_NEEDED = frozenset(
    (
        *("producer", "connection", "publisher", "router", "declare", "exchange_type", "delivery_mode", "mandatory"),
        *("immediate", "confirm_timeout", "route_name", "task_type", "result_cls", "taskset_id"),
    )
)
"""Celery's remaining names for a call: taken, so that ported code runs, and without effect here."""


def check(options: Mapping[str, Any]) -> None:
    """Refuse a name that is no option, and name the nearest one."""
    unknown = [name for name in options if name not in KNOWN and name not in NOT_NEEDED]
    if not unknown:
        return
    stamps = options.get("stamped_headers") or ()
    for name in unknown:
        if name not in stamps:
            raise TypeError(_unknown(name))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, KNOWN, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "your own message headers go into headers={...}"
    return f"{name!r} is not an option of a task call; {hint}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """What a client is told by the settings; wiring makes it."""

    publish_timeout: float = 10.0
    serializer: str = "json"
    compression: str | None = None
    ignore_result: bool = False
    always_eager: bool = False
    eager_propagates: bool = False
    store_eager_result: bool = False
    result_expires: float | None = 86_400.0
    """How long the store keeps what a client writes itself (progress, revocations, eager results); None: for ever."""
    joins: bool = True
    """Whether there is a store in which the members of a chord can meet."""
    chord_timeout: float | None = None
    header_errbacks: bool = False
    sent_events: bool = False
    """Whether each call is told of as an event."""
    lanes: bool = True
    """Whether the broker lets keys take turns (`fair_by`)."""
    naive_zone: tzinfo | None = None
    """The zone of a datetime without one (UTC apps and profile `celery`); None: such a datetime is refused."""
    address: str = ""
    """Where messages go, passwords masked: what warnings show."""
    results_address: str = ""
    """Where outcomes are kept, likewise."""


def seconds(value: Seconds) -> float:
    """Read a duration."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    given: Any = value
    if isinstance(given, str | bytes):
        raise TypeError(f"{given!r} is no duration: give seconds (a number) or a timedelta")
    return float(given)


def priority(value: int | None) -> int | None:
    """Check a priority."""
    if value is None or (isinstance(value, int) and 0 <= value <= MOST_PRIORITY):
        return value
    raise TypeError(f"priority={value!r} is none: it is a whole number from 0 to {MOST_PRIORITY}")


def shown(options: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown instead of the arguments."""
    given = {name: options.get(name) for name in ("argsrepr", "kwargsrepr")}
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name}={value!r} is no text: it is shown instead of the arguments as it is")
    return given


def positional(args: Iterable[Any] | None) -> tuple[Any, ...]:
    """Read the positional arguments of a call; a lone text is a slip (`args="ab"` is not two arguments)."""
    if args is None:
        return ()
    if isinstance(args, str | bytes | Mapping) or not isinstance(args, Iterable):
        raise TypeError(f"args={args!r} is no list of arguments: write args=({args!r},) for one argument")
    return tuple(args)


def named(kwargs: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Read the keyword arguments of a call."""
    if kwargs is None:
        return {}
    if not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs={kwargs!r} is no dict of keyword arguments")
    return kwargs


def moment(value: datetime, naive_zone: tzinfo | None, name: str) -> float:
    """Read a point in time as unix seconds; a naive one only where the app says which zone it means."""
    if value.tzinfo is not None:
        return value.timestamp()
    if naive_zone is None:
        raise ImproperlyConfigured(
            f"{name}={value!r} has no time zone: give it one (datetime.now(timezone.utc) ...), use countdown=, "
            'or set timezone = "UTC"'
        )
    return value.replace(tzinfo=naive_zone).timestamp()


def not_before(options: Mapping[str, Any], now: Callable[[], float], naive_zone: tzinfo | None) -> float | None:
    """When the call may start: `eta`, else `countdown` from now, else None."""
    eta = options.get("eta")
    if eta is not None:
        if isinstance(eta, str):
            eta = datetime.fromisoformat(eta)
        return moment(eta, naive_zone, "eta")
    countdown = options.get("countdown")
    if not countdown:
        return None
    return now() + seconds(countdown)


def deadline(value: Any, now: Callable[[], float], naive_zone: tzinfo | None) -> float | None:
    """When an unstarted call is worthless: `expires` as a duration from now or a point in time."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return moment(value, naive_zone, "expires")
    return now() + seconds(value)
