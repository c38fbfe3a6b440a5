"""Joins a client: codec, router, drivers, clock."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from leveret.client.client import AsyncParts, Client, ClientParts
from leveret.client.options import ClientOptions
from leveret.client.waiting import Awaited, WaitFacts
from leveret.config.settings import Settings
from leveret.errors import PublishUnknown
from leveret.logic.routing import Router
from leveret.model.delivery import Place, Posting
from leveret.model.queue import Exchange, binding
from leveret.ports.broker import Broker
from leveret.ports.clock import Clock
from leveret.wiring.clock import SystemClock
from leveret.wiring.codec import build_codec
from leveret.wiring.drivers import Drivers, open_drivers
from leveret.wiring.routes import resolved_routes
from leveret.wiring.zone import naive_zone


def build_client(settings: Settings, clock: Clock | None = None) -> Client:
    """Make the sending side of an app; nothing is opened before the first call."""
    clock = clock or SystemClock()
    drivers = open_drivers(settings, clock)
    broker = drivers.broker.blocking()
    ask = _asker(drivers, clock)
    parts = ClientParts(
        codec=build_codec(settings),
        router=build_router(settings),
        clock=clock,
        broker=broker,
        backend=drivers.backend.blocking_backend() if drivers.results else None,
        connect=_connector(drivers, broker.reply_address),
        facts=_blocking(ask),
        afacts=ask,
    )
    return Client(parts, client_options(settings, drivers))


def build_router(settings: Settings) -> Router:
    return Router(
        settings.task_queues or (),
        resolved_routes(settings.task_routes),
        settings.task_default_queue,
        settings.task_create_missing_queues,
        default_binding=binding(
            Exchange(
                settings.task_default_exchange or settings.task_default_queue, settings.task_default_exchange_type
            ),
            settings.task_default_routing_key or settings.task_default_queue,
        ),
    )


def client_options(settings: Settings, drivers: Drivers) -> ClientOptions:
    return ClientOptions(
        publish_timeout=settings.publish_timeout,
        serializer=settings.task_serializer,
        compression=settings.task_compression,
        ignore_result=settings.task_ignore_result or not drivers.results,
        always_eager=settings.task_always_eager,
        eager_propagates=settings.task_eager_propagates,
        store_eager_result=settings.task_store_eager_result,
        result_expires=settings.result_expires,
        naive_zone=naive_zone(settings),
        address=drivers.broker.address,
    )


def _connector(drivers: Drivers, reply_address: Callable[[], str | None]) -> Callable[[], AsyncParts]:
    def connect() -> AsyncParts:
        backend = drivers.backend.backend(inline=False) if drivers.results else None
        broker = drivers.broker.broker(inline=False)
        within = getattr(broker, "publish_within", None) or _with_deadline(broker)
        return AsyncParts(broker=broker, backend=backend, reply_address=reply_address, publish_within=within)

    return connect


def _with_deadline(broker: Broker) -> Callable[[tuple[Posting, ...], float], Awaitable[None]]:
    async def publish_within(postings: tuple[Posting, ...], timeout: float) -> None:
        async with asyncio.timeout(timeout):
            try:
                await broker.publish(postings)
            except PublishUnknown:
                # The same ids again are safe: the broker stops the second copy (ports.broker).
                await broker.publish(postings)

    return publish_within


Ask = Callable[[Awaited], Coroutine[Any, Any, WaitFacts | None]]


def _asker(drivers: Drivers, clock: Clock) -> Ask:
    """What broker, store and nodes know of a task that somebody waits for; asked once per silent wait."""

    async def ask(awaited: Awaited) -> WaitFacts | None:
        admin = drivers.broker.admin()
        found = (await admin.find((awaited.id,)))[0]
        queue = awaited.queue if found is None else found.queue
        nodes = [node for node in await drivers.broker.leases().nodes() if queue in node.queues]
        counts = await admin.counts((queue,)) if queue else ()
        known = not awaited.task or not nodes or any(awaited.task in node.tasks for node in nodes)
        return WaitFacts(
            address=drivers.broker.address,
            queue=queue,
            ahead=counts[0].ready if counts else None,
            consumers=tuple(node.name for node in nodes) if queue else None,
            unknown=None if known else awaited.task,
            running_on=(found.node or "a worker") if found is not None and found.place is Place.CLAIMED else None,
            next_try=None if found is None or found.due is None else found.due - clock.now(),
            dead=found.reason if found is not None and found.place is Place.DEAD else None,
        )

    return ask


def _blocking(ask: Ask) -> Callable[[Awaited], WaitFacts | None]:
    return lambda awaited: asyncio.run(ask(awaited))
