"""The commands that every node knows, under Celery's names (`celery/worker/control.py`), as data: what they take, and
what the command line says of them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

INSPECT, CONTROL = "inspect", "control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """One command. `args` are the names and types of what it takes by position on the command line; what is left goes
    to `variadic`."""

    name: str
    kind: str = CONTROL
    help: str = ""
    signature: str = ""
    args: tuple[tuple[str, Callable[[str], Any] | None], ...] = ()
    variadic: str | None = None
    alias: str | None = None
    default_timeout: float = 1.0
    visible: bool = True
    function: Callable[..., Any] | None = field(default=None, compare=False)
    """Of a command that an app adds."""

    @property
    def changes(self) -> bool:
        """Whether it changes anything: then it must be signed where there is a key."""
        return self.kind != INSPECT


def truth(text: str) -> bool:
    """As Celery reads `with_defaults` on a command line."""
    return str(text).lower() in ("1", "true", "yes", "on")


def _inspect(name: str, help: str, **facts: Any) -> Info:
    return Info(name=name, kind=INSPECT, help=help, **facts)


def _control(name: str, help: str, **facts: Any) -> Info:
    return Info(name=name, kind=CONTROL, help=help, **facts)


_IDS = "[id1 [id2 [... [idN]]]]"

BUILT_IN: tuple[Info, ...] = (
    _inspect("active", "List of tasks currently being executed.", alias="dump_active"),
    _inspect("active_queues", "List the task queues a worker is currently consuming from."),
    _inspect("clock", "Get current logical clock value."),
    _inspect(
        "conf",
        "List configuration.",
        alias="dump_conf",
        signature="[include_defaults=False]",
        args=(("with_defaults", truth),),
    ),
    _inspect("hello", "What a Celery worker asks when it starts.", visible=False),
    _inspect("memsample", "Sample current RSS memory usage."),
    _inspect("ping", "Ping worker(s).", default_timeout=0.2),
    _inspect("query_task", "Query for task information by id.", variadic="ids", signature=_IDS),
    _inspect(
        "registered",
        "List of registered tasks.",
        alias="dump_tasks",
        variadic="taskinfoitems",
        signature="[attr1 [attr2 [... [attrN]]]]",
    ),
    _inspect("report", "Versions and settings, for bug reports."),
    _inspect("reserved", "List of claimed tasks that have not begun.", alias="dump_reserved"),
    _inspect("revoked", "List of revoked task-ids.", alias="dump_revoked"),
    _inspect(
        "scheduled",
        "List of tasks that a worker holds for later: none, they wait in the broker.",
        alias="dump_schedule",
    ),
    _inspect("stack", "What each slot is doing, line by line."),
    _inspect("stats", "Request worker statistics/information."),
    _control(
        "add_consumer",
        "Tell worker(s) to consume from task queue by name.",
        signature="<queue> [exchange [type [routing_key]]]",
        args=(("queue", str), ("exchange", str), ("exchange_type", str), ("routing_key", str)),
    ),
    _control("autoscale", "Modify autoscale settings.", signature="[max [min]]", args=(("max", int), ("min", int))),
    _control(
        "cancel_consumer",
        "Tell worker(s) to stop consuming from task queue by name.",
        signature="<queue>",
        args=(("queue", str),),
    ),
    _control("disable_events", "Tell worker(s) to stop sending task-related events."),
    _control("election", "Hold election: nodes here have no leader."),
    _control("enable_events", "Tell worker(s) to send task-related events."),
    _control("heartbeat", "Tell worker(s) to send event heartbeat immediately."),
    _control("pool_grow", "Grow pool by n processes/threads.", signature="[N=1]", args=(("n", int),)),
    _control("pool_restart", "Restart execution pool."),
    _control("pool_shrink", "Shrink pool by n processes/threads.", signature="[N=1]", args=(("n", int),)),
    _control(
        "rate_limit",
        "Tell worker(s) to modify the rate limit for a task by type.",
        signature="<task_name> <rate_limit (e.g., 5/s | 5/m | 5/h)>",
        args=(("task_name", str), ("rate_limit", str)),
    ),
    _control("revoke", "Revoke task by task id (or list of ids).", variadic="task_id", signature=_IDS),
    _control(
        "revoke_by_stamped_headers",
        "Revoke task by header (or list of headers).",
        variadic="headers",
        signature="[key1=value1 [key2=value2 [... [keyN=valueN]]]]",
    ),
    _control("revoke_group", "Revoke every task of a group (or list of groups).", variadic="group_id", signature=_IDS),
    _control("shutdown", "Shutdown worker(s)."),
    _control(
        "terminate",
        "Terminate task by task id (or list of ids).",
        signature="<signal> [id1 [id2 [... [idN]]]]",
        args=(("signal", str),),
        variadic="task_id",
    ),
    _control(
        "time_limit",
        "Tell worker(s) to modify the time limit for task by type.",
        signature="<task_name> <soft_secs> [hard_secs]",
        args=(("task_name", str), ("soft", float), ("hard", float)),
    ),
)


def by_name(infos: Iterable[Info]) -> Mapping[str, Info]:
    """Under every name a command answers to."""
    found: dict[str, Info] = {}
    for info in infos:
        found[info.name] = info
        if info.alias:
            found[info.alias] = info
    return found


KNOWN: Mapping[str, Info] = by_name(BUILT_IN)
