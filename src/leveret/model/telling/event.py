"""Observations of tasks and workers, in Celery's own words (celery.md 2.6). Losing one changes nothing.

Field names are Celery's, and so is `type`: what these structs look like as JSON is what travels.
"""

from dataclasses import dataclass

from msgspec import Struct

MULTI = "task.multi"
"""The routing key of a list of task events; of any other event it is the type with `-` as `.`."""
JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNames:
    """Where events travel, and what the queue of somebody who watches is like. Durations are seconds."""

    exchange: str = "celeryev"
    queue_prefix: str = "celeryev"
    queue_ttl: float | None = 5.0
    queue_expires: float | None = 60.0
    queue_exclusive: bool = True
    queue_durable: bool = False


class Parcel(Struct, frozen=True, gc=False):
    """One message of events: one, or (`MULTI`) a list."""

    key: str
    body: bytes
    hostname: str = ""
    content_type: str = JSON_TYPE


class Event(Struct, tag_field="type", gc=False):
    """`timestamp` is unix time; `clock` is as Celery's logical clock: what happened later has a larger one."""

    hostname: str
    utcoffset: int
    """Hours west of UTC, which is how Celery counts them."""
    pid: int
    clock: int
    timestamp: float


class TaskEvent(Event, tag=False, gc=False):
    uuid: str


class TaskSent(TaskEvent, tag="task-sent", gc=False):
    root_id: str | None
    parent_id: str | None
    name: str
    args: str
    kwargs: str
    retries: int
    eta: str | None
    expires: str | None
    queue: str
    exchange: str
    routing_key: str


class TaskReceived(TaskEvent, tag="task-received", gc=False):
    name: str
    args: str
    kwargs: str
    root_id: str | None
    parent_id: str | None
    retries: int
    eta: str | None
    expires: str | None


class TaskStarted(TaskEvent, tag="task-started", gc=False):
    pass


class TaskSucceeded(TaskEvent, tag="task-succeeded", gc=False):
    result: str
    runtime: float


class TaskFailed(TaskEvent, tag="task-failed", gc=False):
    exception: str
    traceback: str


class TaskRetried(TaskEvent, tag="task-retried", gc=False):
    exception: str
    traceback: str


class TaskRejected(TaskEvent, tag="task-rejected", gc=False):
    requeue: bool


class TaskRevoked(TaskEvent, tag="task-revoked", gc=False):
    terminated: bool
    signum: int | None
    expired: bool


class WorkerEvent(Event, tag=False, gc=False):
    freq: float
    active: int
    processed: int
    loadavg: tuple[float, ...]
    sw_ident: str
    sw_ver: str
    sw_sys: str


class WorkerOnline(WorkerEvent, tag="worker-online", gc=False):
    pass


class WorkerHeartbeat(WorkerEvent, tag="worker-heartbeat", gc=False):
    pass


class WorkerOffline(WorkerEvent, tag="worker-offline", gc=False):
    pass
