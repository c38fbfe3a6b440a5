"""Joins a client: codec, router, drivers, clock."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from leveret.client.client import AsyncParts, Client, ClientParts, TellNodes
from leveret.client.loops import running_loop
from leveret.client.options import ClientOptions
from leveret.config.settings import Settings
from leveret.errors import OperationalError, PublishFailed, PublishUnknown
from leveret.logic.routing import Abilities, Router
from leveret.model.delivery import Posting
from leveret.ports.broker import Broker, Capability
from leveret.ports.clock import Clock
from leveret.wiring.clock import SystemClock, hours_west
from leveret.wiring.codec import build_codec
from leveret.wiring.drivers import Drivers, chord_timeout, open_drivers
from leveret.wiring.routes import resolved_routes
from leveret.wiring.topology import default_binding
from leveret.wiring.zone import naive_zone

if TYPE_CHECKING:
    from leveret.client.waiting import Awaited
    from leveret.model.insight.call import Explanation


def build_client(settings: Settings, clock: Clock | None = None) -> Client:
    """Make the sending side of an app; nothing is opened before the first call."""
    clock = clock or SystemClock()
    drivers = open_drivers(settings, clock)
    broker = drivers.broker.blocking()
    limiting = drivers.limiting()
    codec = build_codec(settings)

    async def ask(awaited: "Awaited") -> "Explanation | None":
        # Imported here: most programs that send tasks never ask why.
        from leveret.wiring.insight.asking import Asker

        return await Asker(settings, drivers, codec, clock).explain(awaited)

    parts = ClientParts(
        codec=codec,
        router=build_router(settings, drivers.broker.capabilities, lookups=True),
        clock=clock,
        broker=broker,
        backend=drivers.blocking_backend() if drivers.results else None,
        connect=connector(drivers),
        reply_address=drivers.reply_address(broker),
        explain=lambda awaited: asyncio.run(ask(awaited)),
        tell_nodes=_anywhere(tell := _teller(settings, drivers)),
        atell_nodes=tell,
        outbox=None if drivers.remembering is None else drivers.remembering.blocking_outbox(),
        keys=None if limiting is None else limiting.keys(),
        aexplain=ask,
        events=drivers.blocking_events(),
        utcoffset=hours_west(),
    )
    return Client(parts, client_options(settings, drivers))


def _teller(settings: Settings, drivers: Drivers) -> TellNodes | None:
    if not hasattr(drivers.broker, "mailbox"):
        return None

    async def tell(ids: tuple[str, ...], terminate: bool, signal: str) -> None:
        # Imported here: most programs that send tasks never revoke one.
        from leveret.wiring.remote.steering import Remote

        await Remote(settings).tell(ids, terminate, signal)

    return tell


def _anywhere(tell: TellNodes | None) -> Callable[[tuple[str, ...], bool, str], None] | None:
    """On a loop of its own; where one runs in this thread, on a thread of its own too."""
    if tell is None:
        return None

    def run(ids: tuple[str, ...], terminate: bool, signal: str) -> None:
        if running_loop() is None:
            asyncio.run(tell(ids, terminate, signal))
            return
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(tell(ids, terminate, signal))).result()

    return run


def build_router(
    settings: Settings, capabilities: frozenset[Capability] = frozenset(), *, lookups: bool = False
) -> Router:
    """`capabilities` are the broker's: one with exchanges routes by itself. `lookups`: exchanges that only others know
    are looked up; not where a task's outcome would have to wait for it."""
    return Router(
        settings.task_queues or (),
        resolved_routes(settings.task_routes),
        settings.task_default_queue,
        settings.task_create_missing_queues,
        default_binding=default_binding(settings),
        abilities=Abilities(
            exchanges=Capability.EXCHANGES in capabilities,
            bindings=lookups and Capability.BINDINGS in capabilities,
            fanout=Capability.FANOUT in capabilities,
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
        joins=drivers.joins,
        chord_timeout=chord_timeout(settings, drivers),
        header_errbacks=settings.task_allow_error_cb_on_chord_header,
        naive_zone=naive_zone(settings),
        sent_events=settings.task_send_sent_event,
        lanes=Capability.LANES in drivers.broker.capabilities,
        address=drivers.broker.address,
        results_address=drivers.results_address,
    )


def connector(drivers: Drivers) -> Callable[[], AsyncParts]:
    """Makes the asynchronous faces for a loop that also serves others."""

    def connect() -> AsyncParts:
        broker = drivers.broker.broker(inline=False)
        backend = drivers.backend_beside(broker) if drivers.results else None
        within = getattr(broker, "publish_within", None) or _with_deadline(broker)
        outbox = None if drivers.remembering is None else drivers.remembering.outbox(inline=False)
        limiting = drivers.limiting()
        return AsyncParts(
            broker=broker,
            backend=backend,
            publish_within=within,
            outbox=outbox,
            keys=None if limiting is None else limiting.async_keys(inline=False),
            events=drivers.events(),
        )

    return connect


def _with_deadline(broker: Broker) -> Callable[[tuple[Posting, ...], float], Awaitable[None]]:
    async def publish_within(postings: tuple[Posting, ...], timeout: float) -> None:
        async with asyncio.timeout(timeout):
            try:
                await broker.publish(postings)
            except PublishUnknown as unknown:
                # The same ids again are safe: the broker stops the second copy (ports.broker).
                try:
                    await broker.publish(postings)
                except (PublishFailed, OperationalError) as failed:
                    raise PublishUnknown(f"{unknown}; then {failed}") from failed

    return publish_within
