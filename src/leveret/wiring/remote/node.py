"""Joins what hears commands beside a node."""

import platform
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote, urlsplit

from leveret.config.settings import Settings
from leveret.logic.codec import Codec, Limits
from leveret.logic.compression import Compressions, builtin_compressions
from leveret.logic.remote.infos import scheduled
from leveret.logic.remote.plain import plain
from leveret.logic.serializers import JSON, MSGPACK, YAML, Serializers
from leveret.model.options import WorkerOptions
from leveret.supervisor.remote.crew import Crew, Supervised
from leveret.supervisor.remote.listener import Listener, ListenerParts
from leveret.supervisor.remote.panel import NodeFacts, Panel
from leveret.supervisor.remote.revoking import Revoking
from leveret.wiring.clock import SystemClock
from leveret.wiring.codec import build_codec
from leveret.wiring.drivers import Drivers, open_drivers, required_broker_url
from leveret.wiring.parts import find
from leveret.wiring.remote.steering import Revoker, required_mailbox

HARMLESS = (JSON, MSGPACK, YAML)
MOST_SCHEDULED = 100
"""A monitor shows a page of them; the broker may hold millions."""


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
        facts = replace(node_facts(settings, options), scheduled=_scheduled(drivers, settings, options.node.name))
        panel = Panel(crew, facts, clock, revoking)
        parts = ListenerParts(
            open=lambda: required_mailbox(drivers),
            node=options.node.name,
            namespace=settings.control_exchange,
            clock=clock,
            keys=settings.control_key,
        )
        await Listener(parts, panel).run()

    return run


def _scheduled(drivers: Drivers, settings: Settings, hostname: str) -> Callable[[tuple[str, ...]], Awaitable[Any]]:
    """The broker is asked each time: a node keeps nothing that is not due."""
    admin = drivers.broker.admin()
    # A supervisor reads data only: nothing that could run code (pickle, a serializer of the app's).
    codec = Codec(
        Serializers(HARMLESS),
        Compressions(builtin_compressions()),
        Limits(message_bytes=settings.message_max_bytes),
        accept=frozenset(serializer.name for serializer in HARMLESS),
    )

    async def ask(queues: tuple[str, ...]) -> Any:
        return [scheduled(one, codec, hostname) for one in await admin.delayed(queues, MOST_SCHEDULED)]

    return ask


def node_facts(settings: Settings, options: WorkerOptions) -> NodeFacts:
    return NodeFacts(
        broker=broker_facts(settings),
        report=lambda: report(settings, options.version),
        pool=find("executors", options.pool).target,
        timeouts=(settings.task_soft_time_limit or 0, settings.task_time_limit or 0),
        pool_restarts=settings.worker_pool_restarts,
    )


def report(settings: Settings, version: str) -> str:
    """For bug reports: versions first, then what is set."""
    lines = [
        f"software -> leveret:{version} py:{platform.python_version()}",
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
