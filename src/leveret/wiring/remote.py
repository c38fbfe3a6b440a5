"""Joins remote control: whoever steers, the node that is steered, and what only the app can answer."""

import asyncio
import platform
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from leveret.client.control import custom
from leveret.client.control.calling import Caller
from leveret.config.configuration import DEFAULT, Configuration
from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured
from leveret.logic.codec import Codec
from leveret.logic.remote import marks as marked
from leveret.logic.remote.plain import plain
from leveret.logic.remote.queues import queue_as_dict
from leveret.logic.results import write_meta
from leveret.model.message import TaskId
from leveret.model.options import WorkerOptions
from leveret.model.outcome import ErrorInfo
from leveret.model.queue import Exchange, Queue
from leveret.model.remote.steering import Added, Steering
from leveret.model.settlement import Record
from leveret.model.state import READY_STATES, REVOKED, STARTED
from leveret.model.task import Registry
from leveret.model.topology import Topology
from leveret.ports.backend import Backend
from leveret.ports.clock import Clock
from leveret.ports.mailbox import Mailbox
from leveret.supervisor.remote.crew import Crew, Supervised
from leveret.supervisor.remote.listener import Listener, ListenerParts
from leveret.supervisor.remote.panel import NodeFacts, Panel
from leveret.supervisor.remote.revoking import Revoking
from leveret.wiring.clock import SystemClock
from leveret.wiring.codec import build_codec
from leveret.wiring.drivers import Drivers, open_drivers, required_broker_url
from leveret.wiring.parts import find

REVOKED_SECONDS = 30 * 86_400.0
"""How long a revocation is remembered, whatever becomes of the task's result: a task may wait for weeks."""
REVOKED_ERROR = ErrorInfo(type="TaskRevokedError", module="leveret.errors", args=("revoked",), text="revoked")


class Remote:
    """`client.control.terms.Steering` of one app's settings. Each call connects for itself: people call seldom."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._clock = settings, SystemClock()
        self.caller = Caller(
            open=self._open, clock=self._clock, namespace=settings.control_exchange, keys=settings.control_key
        )

    async def revoke(self, marks: Sequence[str]) -> bool:
        drivers = open_drivers(self._settings, self._clock)
        broker = drivers.broker.broker(inline=False)
        backend = drivers.backend_beside(broker)
        try:
            revoker = Revoker(drivers, backend, build_codec(self._settings), self._clock, self._settings.result_expires)
            return await revoker.revoke(marks)
        finally:
            await broker.close()
            await backend.close()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Mailbox]:
        mailbox = required_mailbox(open_drivers(self._settings, self._clock))
        try:
            yield mailbox
        finally:
            await mailbox.close()


def required_mailbox(drivers: Drivers) -> Mailbox:
    mailbox = drivers.mailbox()
    if mailbox is None:
        raise ImproperlyConfigured(f"{drivers.broker.address} carries no commands to nodes: remote control needs that")
    return mailbox


class Revoker:
    """Writes what is revoked: marks, where a claim looks, and the outcome of tasks that have not begun."""

    def __init__(self, drivers: Drivers, backend: Backend, codec: Codec, clock: Clock, expires: float | None) -> None:
        self._revocations, self._backend = drivers.revocations(), backend
        self._codec, self._clock, self._expires = codec, clock, expires

    async def revoke(self, marks: Sequence[str]) -> bool:
        """False where there is no store: then only the nodes remember."""
        if self._revocations is None or not marks:
            return False
        await self._revocations.revoke(marks, REVOKED_SECONDS)
        ids = marked.ids_among(marks)
        stored = await self._backend.get(ids)
        records = tuple(
            self._record(name, 0 if known is None else known.attempt)
            for name, known in zip(ids, stored, strict=True)
            if known is None or (known.state not in READY_STATES and known.state != STARTED)
        )
        if records:
            await self._backend.store(records)
        return True

    def _record(self, name: str, attempt: int) -> Record:
        meta = write_meta(self._codec, id=name, status=REVOKED, error=REVOKED_ERROR, date_done=self._clock.now())
        return Record(
            id=TaskId(name),
            attempt=attempt,
            state=REVOKED,
            terminal=True,
            meta=meta,
            content_type=self._codec.result_serializer.content_type,
            expires_after=self._expires,
        )


# The node


def build_listener(
    supervisor: Supervised, settings: Settings, options: WorkerOptions
) -> Callable[[], Coroutine[Any, Any, None]] | None:
    """What hears commands beside a node, on its loop; None where it is turned off or the broker carries none."""
    clock = SystemClock()
    drivers = open_drivers(settings, clock)
    if not settings.worker_enable_remote_control or drivers.mailbox() is None:
        return None

    async def run() -> None:
        # On the loop that awaits them.
        broker = drivers.broker.broker(inline=False)
        revoker = Revoker(
            drivers, drivers.backend_beside(broker), build_codec(settings), clock, settings.result_expires
        )
        revocations = drivers.revocations()

        async def revoke(marks: Sequence[str]) -> None:
            await revoker.revoke(marks)

        crew = Crew(supervisor, options)
        revoking = Revoking(crew, revoke, None if revocations is None else revocations.all)
        panel = Panel(crew, node_facts(settings, options), clock, revoking)
        parts = ListenerParts(
            open=lambda: required_mailbox(drivers),
            node=options.node.name,
            namespace=settings.control_exchange,
            clock=clock,
            keys=settings.control_key,
        )
        await Listener(parts, panel).run()

    return run


def node_facts(settings: Settings, options: WorkerOptions) -> NodeFacts:
    return NodeFacts(
        broker=broker_facts(settings),
        report=lambda: report(settings),
        pool=find("executors", options.pool).target,
        timeouts=(settings.task_soft_time_limit or 0, settings.task_time_limit or 0),
        pool_restarts=settings.worker_pool_restarts,
    )


def report(settings: Settings) -> str:
    """For bug reports: versions first, then what is set."""
    lines = [
        f"software -> leveret:{version('leveret')} py:{platform.python_version()}",
        f"platform -> system:{platform.system()} imp:{platform.python_implementation()}",
        f"broker   -> {required_broker_url(settings).masked}",
        f"results  -> {'' if settings.result_backend is None else settings.result_backend.masked}",
    ]
    return "\n".join(lines)


def broker_facts(settings: Settings) -> Mapping[str, Any]:
    """A connection as kombu describes it (`kombu/connection.py:info`); no password in it."""
    url = required_broker_url(settings)
    first, *others = [part for part in str(url).split(";") if part]
    parts = urlsplit(first)
    return {
        "hostname": parts.hostname or parts.path or None,
        "userid": unquote(parts.username) if parts.username else None,
        "virtual_host": unquote(parts.path[1:]) or "/",
        "port": parts.port,
        "insist": False,
        "ssl": bool(settings.broker_use_ssl) or parts.scheme in ("amqps", "rediss"),
        "transport": {"amqps": "amqp", "rediss": "redis"}.get(parts.scheme, parts.scheme),
        "connect_timeout": round(settings.publish_timeout),
        "transport_options": plain(settings.broker_transport_options),
        "login_method": settings.broker_login_method,
        "uri_prefix": None,
        "heartbeat": settings.broker_heartbeat,
        "failover_strategy": settings.broker_failover_strategy,
        "alternates": [type(url)(other).masked for other in others],
        "credential_provider": None,
    }


# A worker process


class AppAnswers:
    """What a worker process answers for its app. `steer` keeps what remote control changed of it."""

    def __init__(self, app: Any, conf: Configuration, tasks: Registry, topology: Topology, hostname: str) -> None:
        self._app, self._conf, self._tasks, self._topology = app, conf, tasks, topology
        self._hostname = hostname
        self._steering = Steering()
        self._answers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "registered": self._registered,
            "active_queues": self._active_queues,
            "conf": self._settings,
        }

    @property
    def commands(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, info.kind) for info in custom.added() for name in (info.name, info.alias) if name)

    def steer(self, steering: Steering) -> None:
        self._steering = steering
        learn(self._topology, steering.added)

    async def answer(self, method: str, arguments: Mapping[str, Any]) -> Any:
        if method == "custom":
            return await self._custom(arguments["name"], arguments["arguments"])
        return self._answers[method](arguments)

    async def _custom(self, name: str, arguments: Mapping[str, Any]) -> Any:
        info = custom.find(name)
        if info is None or info.function is None:
            raise KeyError(name)
        state = custom.ControlState(self._app, self._hostname)
        # User code: never on the I/O loop.
        return await asyncio.to_thread(info.function, state, **arguments)

    def _registered(self, arguments: Mapping[str, Any]) -> Any:
        items = [item for item in arguments["items"] if isinstance(item, str) and not item.startswith("_")]
        names = [name for name in sorted(self._tasks) if arguments["builtins"] or not name.startswith("celery.")]
        return [self._described(name, items or ["exchange", "routing_key", "rate_limit"]) for name in names]

    def _described(self, name: str, items: Sequence[str]) -> str:
        task = self._app.tasks[name]
        steered = {"rate_limit": self._steering.rates.get(name)}
        found = {item: steered.get(item) or getattr(task, item, None) for item in items}
        shown = [f"{item}={value}" for item, value in found.items() if value is not None]
        return f"{name} [{' '.join(shown)}]" if shown else name

    def _active_queues(self, arguments: Mapping[str, Any]) -> Any:
        return [queue_as_dict(self._topology.queue(name)) for name in arguments["queues"]]

    def _settings(self, arguments: Mapping[str, Any]) -> Any:
        rows = self._conf.origins()
        return {name: plain(value) for name, value, origin in rows if arguments["with_defaults"] or origin != DEFAULT}


def learn(topology: Topology, added: Sequence[Added]) -> None:
    """Know how a queue is bound that a node was told to consume, where it was told how."""
    queues = cast("MutableMapping[str, Queue]", topology.queues)
    for one in added:
        if one.exchange and one.name not in queues:
            exchange = Exchange(one.exchange, one.exchange_type)
            queues[one.name] = Queue(one.name, exchange, one.routing_key or one.name)
