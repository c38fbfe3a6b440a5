"""Every setting Leveret honours, as one frozen value under Celery's lower-case names.

Durations are seconds. A value is converted and checked when `Settings` is made; the error says what would be right.
"""

# ruff: noqa: RUF009 - `_option` makes a dataclass field, not a value.

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from leveret.config import kinds
from leveret.config.kinds import Kind, optional
from leveret.errors import ImproperlyConfigured
from leveret.model.endpoint import Url
from leveret.model.limiting.declared import RetryBudget

DAY = 86_400.0
LOG_FORMAT = "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s"
TASK_LOG_FORMAT = "[%(asctime)s: %(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s"


def _option(default: Any, kind: Kind) -> Any:
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata={"kind": kind})
    return field(default=default, metadata={"kind": kind})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every part is made from; `Configuration.settings` builds it."""

    profile: str = _option("leveret", kinds.choice("leveret", "celery"))
    """`celery` follows a running Celery cluster wherever the two disagree (DESIGN 5)."""

    broker_url: Url | None = _option(None, optional(kinds.URL))
    """None: the project's own `.leveret/queue.db`, filled in by the configuration of an app."""
    result_backend: Url | None = _option(None, optional(kinds.URL))
    """None: the broker's own store."""
    broker_use_ssl: Any = _option(None, optional(kinds.TLS))
    """True, or a dict with `ca_certs`, `certfile`, `keyfile`, `cert_reqs`, `server_hostname`."""
    broker_heartbeat: float = _option(12.0, kinds.SECONDS)
    broker_failover_strategy: str = _option("round-robin", kinds.choice("round-robin", "shuffle"))
    broker_login_method: str | None = _option(None, optional(kinds.choice("PLAIN", "AMQPLAIN", "EXTERNAL")))
    broker_transport_options: Mapping[str, Any] = _option({}, kinds.MAPPING)
    publish_timeout: float = _option(10.0, kinds.POSITIVE_SECONDS)
    message_max_bytes: int = _option(16 * 1024 * 1024, kinds.ranged(1024))
    lease_seconds: float = _option(20.0, kinds.POSITIVE_SECONDS)
    dead_letter_expires: float | None = _option(30 * DAY, optional(kinds.POSITIVE_SECONDS))

    accept_content: tuple[str, ...] = _option(("json",), kinds.NAMES)
    timezone: str | None = _option(None, optional(kinds.TEXT))
    """The app's zone by name; None: naive datetimes are refused (UTC under the celery profile)."""
    enable_utc: bool = _option(True, kinds.BOOLEAN)
    imports: tuple[str, ...] = _option((), kinds.NAMES)
    include: tuple[str, ...] = _option((), kinds.NAMES)

    task_acks_late: bool = _option(True, kinds.BOOLEAN)
    task_reject_on_worker_lost: bool | None = _option(None, optional(kinds.BOOLEAN))
    task_serializer: str = _option("json", kinds.TEXT)
    task_compression: str | None = _option(None, optional(kinds.TEXT))
    task_ignore_result: bool = _option(False, kinds.BOOLEAN)
    task_store_errors_even_if_ignored: bool = _option(False, kinds.BOOLEAN)
    task_track_started: bool = _option(False, kinds.BOOLEAN)
    task_time_limit: float | None = _option(None, optional(kinds.POSITIVE_SECONDS))
    task_soft_time_limit: float | None = _option(None, optional(kinds.POSITIVE_SECONDS))
    task_default_rate_limit: str | None = _option(None, optional(kinds.RATE))
    task_retry_budget: RetryBudget | bool | None = _option(None, optional(kinds.BUDGET))
    """None: on, except under the celery profile."""
    task_default_priority: int | None = _option(None, optional(kinds.PRIORITY))
    task_default_queue: str = _option("", kinds.TEXT)
    """Empty: `default`, or `celery` under that profile."""
    task_default_exchange: str | None = _option(None, optional(kinds.TEXT))
    """None: named as the default queue; so is the routing key."""
    task_default_exchange_type: str = _option("direct", kinds.choice("direct", "topic", "fanout", "headers"))
    task_default_routing_key: str | None = _option(None, optional(kinds.TEXT))
    task_default_queue_type: str | None = _option(None, optional(kinds.choice("classic", "quorum")))
    """None: quorum for our own on RabbitMQ, classic under the celery profile."""
    task_create_missing_queue_type: str | None = _option(None, optional(kinds.choice("classic", "quorum")))
    """None: as `task_default_queue_type`; classic under the celery profile."""
    task_create_missing_queue_exchange_type: str | None = _option(
        None, optional(kinds.choice("direct", "topic", "fanout", "headers"))
    )
    task_default_delivery_mode: int = _option(2, kinds.DELIVERY_MODE)
    task_queue_max_priority: int | None = _option(None, optional(kinds.PRIORITY))
    task_queues: Any = _option(None, kinds.ANY)
    task_routes: Any = _option(None, kinds.ANY)
    task_annotations: Any = _option(None, kinds.ANY)
    task_create_missing_queues: bool = _option(True, kinds.BOOLEAN)
    task_always_eager: bool = _option(False, kinds.BOOLEAN)
    task_eager_propagates: bool = _option(False, kinds.BOOLEAN)
    task_store_eager_result: bool = _option(False, kinds.BOOLEAN)

    result_backend_transport_options: Any = _option({}, kinds.MAPPING)
    redis_backend_use_ssl: Any = _option(None, optional(kinds.TLS))
    redis_socket_timeout: float | None = _option(None, optional(kinds.POSITIVE_SECONDS))
    redis_socket_connect_timeout: float | None = _option(None, optional(kinds.POSITIVE_SECONDS))
    """Of both None: shares of `publish_timeout`."""
    task_allow_error_cb_on_chord_header: bool = _option(False, kinds.BOOLEAN)
    result_serializer: str = _option("json", kinds.TEXT)
    result_compression: str | None = _option(None, optional(kinds.TEXT))
    result_accept_content: tuple[str, ...] | None = _option(None, optional(kinds.NAMES))
    """None: as `accept_content`, and json, msgpack and yaml."""
    result_expires: float | None = _option(DAY, optional(kinds.SECONDS))
    """None or 0: kept for ever."""
    chord_timeout: float | None = _option(None, optional(kinds.POSITIVE_SECONDS))
    """None: an open chord waits for ever."""
    result_persistent: bool = _option(False, kinds.BOOLEAN)
    result_extended: bool = _option(False, kinds.BOOLEAN)

    beat_schedule: Any = _option({}, kinds.MAPPING)
    beat_store: Url | None = _option(None, optional(kinds.URL))
    """None: the broker where it can keep the schedule, else the result store."""
    beat_cron_starting_deadline: float | None = _option(None, optional(kinds.POSITIVE_SECONDS))

    control_exchange: str = _option("celery", kinds.TEXT)
    """Who has another one hears other commands."""
    control_queue_ttl: float | None = _option(300.0, optional(kinds.POSITIVE_SECONDS))
    control_queue_expires: float | None = _option(10.0, optional(kinds.POSITIVE_SECONDS))
    control_queue_exclusive: bool = _option(True, kinds.BOOLEAN)
    control_queue_durable: bool = _option(False, kinds.BOOLEAN)
    control_key: tuple[str, ...] = _option((), kinds.SECRETS)
    """Keys that sign commands; the first signs, all are accepted. Empty: nothing is signed or refused."""
    worker_enable_remote_control: bool = _option(True, kinds.BOOLEAN)
    worker_disable_rate_limits: bool = _option(False, kinds.BOOLEAN)
    worker_pool_restarts: bool = _option(False, kinds.BOOLEAN)
    worker_send_task_events: bool = _option(False, kinds.BOOLEAN)
    task_send_sent_event: bool = _option(False, kinds.BOOLEAN)
    task_send_argsrepr: bool | None = _option(None, optional(kinds.BOOLEAN))
    """None: under the celery profile."""
    event_exchange: str = _option("celeryev", kinds.TEXT)
    event_queue_prefix: str = _option("celeryev", kinds.TEXT)
    event_queue_ttl: float | None = _option(5.0, optional(kinds.SECONDS))
    event_queue_expires: float | None = _option(60.0, optional(kinds.POSITIVE_SECONDS))
    event_queue_exclusive: bool = _option(True, kinds.BOOLEAN)
    event_queue_durable: bool = _option(False, kinds.BOOLEAN)

    worker_metrics_port: int | None = _option(None, optional(kinds.PORT))
    """None: no web server."""
    worker_metrics_host: str = _option("127.0.0.1", kinds.TEXT)
    worker_statsd_host: str | None = _option(None, optional(kinds.HOST))
    """None: nothing is sent."""
    worker_statsd_port: int = _option(8125, kinds.PORT)
    worker_statsd_prefix: str = _option("leveret", kinds.STATSD_PREFIX)
    worker_statsd_tags: bool = _option(False, kinds.BOOLEAN)
    worker_statsd_interval: float = _option(10.0, kinds.POSITIVE_SECONDS)

    worker_direct: bool = _option(False, kinds.BOOLEAN)
    """Whether each node also has a queue of its own, `<node>.dq2`, where the broker has exchanges."""
    worker_concurrency: int | None = _option(None, kinds.CONCURRENCY)
    """None: the CPUs the process may use."""
    worker_pool: str = _option("prefork", kinds.TEXT)
    worker_prefetch_multiplier: int | None = _option(None, optional(kinds.COUNT))
    """None: adaptive credit."""
    worker_max_tasks_per_child: int | None = _option(None, optional(kinds.POSITIVE))
    worker_max_memory_per_child: int | None = _option(None, optional(kinds.POSITIVE))
    """KiB."""
    worker_soft_shutdown_timeout: float = _option(0.0, kinds.SECONDS)
    worker_redirect_stdouts: bool = _option(True, kinds.BOOLEAN)
    worker_redirect_stdouts_level: str = _option("WARNING", kinds.LEVEL)
    worker_hijack_root_logger: bool = _option(True, kinds.BOOLEAN)
    worker_log_format: str = _option(LOG_FORMAT, kinds.LOG_FORMAT)
    worker_log_datefmt: str | None = _option(None, optional(kinds.TEXT))
    worker_task_log_format: str = _option(TASK_LOG_FORMAT, kinds.LOG_FORMAT)
    worker_task_log_datefmt: str | None = _option(None, optional(kinds.TEXT))
    worker_log_color: bool | None = _option(None, optional(kinds.BOOLEAN))
    worker_log_json: bool = _option(False, kinds.BOOLEAN)

    def __post_init__(self) -> None:
        for name in FIELDS:
            object.__setattr__(self, name, convert(name, getattr(self, name)))
        if not self.task_default_queue:
            object.__setattr__(self, "task_default_queue", "celery" if self.profile == "celery" else "default")
        if self.result_expires == 0:
            object.__setattr__(self, "result_expires", None)
        self._check_limits()

    def _check_limits(self) -> None:
        if self.control_queue_exclusive and self.control_queue_durable:
            raise ImproperlyConfigured(
                "control_queue_exclusive and control_queue_durable cannot both be true: an exclusive queue ends with "
                "its connection"
            )
        if self.chord_timeout is not None and self.chord_timeout >= (self.result_expires or float("inf")):
            raise ImproperlyConfigured(
                f"chord_timeout is {self.chord_timeout:g} s: it must be shorter than result_expires "
                f"({self.result_expires:g} s), after which nobody knows any more that a chord was complete"
            )
        soft, hard = self.task_soft_time_limit, self.task_time_limit
        if soft is not None and hard is not None and soft > hard:
            raise ImproperlyConfigured(
                f"task_soft_time_limit is {soft:g} s, after task_time_limit at {hard:g} s: it must come before"
            )

    @property
    def retry_budget(self) -> RetryBudget | None:
        """Of tasks that say none themselves."""
        said = self.task_retry_budget
        if isinstance(said, RetryBudget):
            return said
        return RetryBudget() if (self.profile != "celery" if said is None else said) else None

    @property
    def shows_arguments(self) -> bool:
        """Whether messages say in their headers what monitors show of their arguments."""
        said = self.task_send_argsrepr
        return self.profile == "celery" if said is None else said

    @property
    def high_first(self) -> bool:
        """Whether the highest priority number is the most urgent (always, except beside Celery on Redis)."""
        on_redis = self.broker_url is not None and self.broker_url.scheme in ("redis", "rediss", "sentinel")
        return not (self.profile == "celery" and on_redis)


FIELDS: tuple[str, ...] = tuple(f.name for f in fields(Settings))
DEFAULTS: Mapping[str, Any] = {
    f.name: f.default_factory() if f.default_factory is not MISSING else f.default for f in fields(Settings)
}
_KINDS: Mapping[str, Kind] = {f.name: f.metadata["kind"] for f in fields(Settings)}


def convert(name: str, value: Any) -> Any:
    """Convert the value of one honoured setting, or say what it must be."""
    kind = _KINDS[name]
    try:
        return kind.read(value)
    except (ValueError, TypeError) as error:
        raise ImproperlyConfigured(f"{name} is {shown(name, value)!r}: it must be {kind.expected}") from error


def shown(name: str, value: Any) -> Any:
    """The value as a banner, report or error may show it: passwords and keys masked."""
    if value is None or value in ("", ()):
        return value
    if name.endswith(("password", "secret_access_key", "security_key", "control_key")):
        return "**"
    if isinstance(value, str) and "://" in value:
        return Url(value).masked
    if isinstance(value, Mapping):
        return {key: shown(str(key), part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(shown(name, part) for part in value)
    # All of a queue's options would fill the screen.
    return f"Queue({value.name})" if type(value).__name__ == "Queue" else value
