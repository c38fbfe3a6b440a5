"""Options that cross a seam as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from leveret.model.node import Node, Testimony
from leveret.model.remote.steering import Steering
from leveret.model.telling.event import EventNames
from leveret.model.topology import Topology

CHARGES_TO_PARK = 3
"""Deaths after which a message is a dead letter (DESIGN 1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOptions:
    """How the queues of remote control are declared, where the broker has such. Durations are seconds."""

    namespace: str = "celery"
    """`control_exchange`: who has another one hears other commands."""
    queue_ttl: float | None = 300.0
    queue_expires: float | None = 10.0
    exclusive: bool = True
    durable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverOptions:
    """What every broker and store driver is told besides its URL. Durations are seconds."""

    high_first: bool = True
    """Whether 9 is the most urgent priority (profile "leveret") or 0 (Celery on Redis)."""
    result_expires: float | None = 86_400.0
    dead_letter_expires: float | None = 30 * 86_400.0
    tombstone_expires: float = 86_400.0
    lease_seconds: float = 20.0
    tick_stale_seconds: float = 3.0
    """A fleet's tick older than this: nobody could renew, so nothing is reaped until one lease after the next tick."""
    publish_timeout: float = 10.0
    poll_seconds: float = 0.5
    topology: Topology = field(default_factory=Topology)
    """Queues and exchanges, where the broker has them."""
    control: ControlOptions = ControlOptions()
    events: EventNames = field(default_factory=EventNames)
    tls: Mapping[str, Any] | bool | None = None
    """`broker_use_ssl`."""
    login_method: str | None = None
    heartbeat_seconds: float = 12.0
    failover: str = "round-robin"
    """Of several brokers: `round-robin` keeps their order, `shuffle` does not."""
    transport: Mapping[str, Any] = field(default_factory=dict)
    """`broker_transport_options`: words of one driver."""
    result_persistent: bool = False
    """Whether a result that travels as a message survives a restart of the broker."""
    result_transport: Mapping[str, Any] = field(default_factory=dict)
    """`result_backend_transport_options`, and the `redis_*` settings under redis-py's names for them; the driver reads
    what is its own."""


class LogOptions(Struct, frozen=True, kw_only=True):
    """The log lines of worker processes. A format of None is the default one, which is written faster."""

    format: str | None = None
    datefmt: str | None = None
    task_format: str | None = None
    """Of lines logged inside a task."""
    task_datefmt: str | None = None
    color: bool = False
    redirect_stdouts: bool = True
    """Whether what a task prints becomes log lines."""
    redirect_level: str = "WARNING"
    hijack_root_logger: bool = True
    """False: handlers that the app put on the root logger stay, and get the lines."""


class WorkerOptions(Struct, frozen=True, kw_only=True):
    """One node as the command line asked for it; plain data that crosses a pipe to every worker process."""

    node: Node
    pool: str = "prefork"
    processes: int = 1
    slots: int = 1
    """Slots in each process: 1 for prefork and solo, N for threads and asyncio."""
    queues: tuple[str, ...] = ("default",)
    quarantine: bool = False
    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None
    """KiB."""
    time_limit: float | None = None
    soft_time_limit: float | None = None
    prefetch_multiplier: int | None = None
    """None: adaptive credit."""
    soft_shutdown_timeout: float = 0.0
    burst: bool = False
    loglevel: str = "WARNING"
    logfile: str | None = None
    log_json: bool = False
    log: LogOptions = LogOptions()
    app: str = ""
    """Where a worker process finds the app: `package.module:attribute`."""
    workdir: str = ""
    settings: Mapping[str, Any] = {}
    """What the command line says about settings, under their names; it wins over the app's own."""
    version: str = ""
    """Leveret's own, for events."""
    heartbeat_seconds: float = 2.0
    """How often the node says as an event that it is there; 0: never."""
    metrics: bool = False
    """Whether processes count by task and outcome, because somebody may look."""
    task_events: bool = False
    """Whether each process begins to tell of its tasks as events."""
    page: str = ""
    """Path of this process's slot page; empty: none (in-process workers)."""
    steering: Steering = Steering()
    """What remote control had changed of the node when it started this process."""
    testimony: tuple[Testimony, ...] = ()
    """What the supervisor knew of earlier deaths when it started this process."""
