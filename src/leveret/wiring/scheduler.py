"""Joins a scheduler: the store of the schedule, the broker it sends to, and what tells whether a run has ended."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured
from leveret.model.delivery import Place, Posting
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.model.schedules.entry import Entry
from leveret.ports.backend import Backend
from leveret.ports.driver import ScheduleDriver
from leveret.ports.schedule import ScheduleStore
from leveret.scheduler.neighbour import Seen
from leveret.scheduler.overlap import FORGOTTEN_SECONDS, Overlaps
from leveret.scheduler.scheduler import Scheduler, SchedulerParts
from leveret.wiring import parts as catalogue
from leveret.wiring.client import connector
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import Drivers, driver_options, open_drivers, required_broker_url

NO_STORE = (
    "a schedule needs a store that all schedulers share, and {broker} with results in {results} is none: set "
    'result_backend = "redis://host/1" or "sqlite:////path/results.db", or beat_store; for one scheduler and no more, '
    "whose memory is lost with it: leveret beat --single"
)


def schedule_url(settings: Settings) -> Url | None:
    """Where the schedule is kept: where the settings say, else the broker, else the result store; None where none of
    them can."""
    named = (settings.beat_store, required_broker_url(settings), settings.result_backend)
    if settings.beat_store is not None:
        catalogue.find("schedules", settings.beat_store.scheme)
    return next((url for url in named if url is not None and catalogue.known("schedules", url.scheme)), None)


def no_store(settings: Settings) -> str:
    """Why there is no schedule, and what to do about it."""
    drivers = open_drivers(settings, SystemClock())
    return NO_STORE.format(broker=drivers.broker.address, results=drivers.results_address)


def schedule_driver(settings: Settings) -> ScheduleDriver:
    url = schedule_url(settings)
    if url is None:
        raise ImproperlyConfigured(no_store(settings))
    made: ScheduleDriver = catalogue.load("schedules", url.scheme)(url, _options(settings, url), SystemClock())
    return made


def _options(settings: Settings, url: Url) -> DriverOptions:
    """How to get in: as to the broker where the store is one of its kind, else as to the results."""
    options, broker = driver_options(settings), required_broker_url(settings)
    results = settings.result_backend is not None and str(url) == str(settings.result_backend)
    if str(url) == str(broker) or (url.scheme == broker.scheme and not results):
        return options
    return replace(options, transport=options.result_transport, tls=options.result_transport.get("ssl"))


def open_schedules(settings: Settings) -> AbstractAsyncContextManager[ScheduleStore]:
    """The store, open for the length of a block on the running loop."""
    return _opened(schedule_driver(settings))


@asynccontextmanager
async def _opened(driver: ScheduleDriver) -> AsyncIterator[ScheduleStore]:
    try:
        yield driver.schedules()
    finally:
        await driver.close()


Companion = Callable[[], Coroutine[Any, Any, None]]


def build_scheduler(
    settings: Settings,
    source: str,
    entries: tuple[Entry, ...] | None,
    tasks: Iterable[str] = (),
    seen: Seen | None = None,
) -> Companion:
    """A scheduler to be run on a loop until it is cancelled; it opens what it needs there and closes it. `entries` and
    `tasks` are those of the app that `source` names; `seen`: what Celery's beat is seen to send, where that matters."""

    async def run() -> None:
        clock = SystemClock()
        drivers, store = open_drivers(settings, clock), schedule_driver(settings)
        parts = connector(drivers)()

        async def publish(postings: tuple[Posting, ...]) -> None:
            await parts.publish_within(postings, settings.publish_timeout)

        made = SchedulerParts(
            store=store.schedules(),
            publish=publish,
            clock=clock,
            overlaps=overlaps(drivers, parts.backend, settings),
            source=source,
            entries=entries,
            tasks=frozenset(tasks),
            seen=seen,
        )
        try:
            await Scheduler(made).run()
        finally:
            await parts.broker.close()
            if parts.backend is not None:
                await parts.backend.close()
            await store.close()

    return run


def overlaps(drivers: Drivers, backend: Backend | None, settings: Settings) -> Overlaps:
    """By outcomes, where they are kept."""
    if backend is None or not drivers.remembers:
        return Overlaps(None)

    async def dead(ids: tuple[str, ...]) -> frozenset[str]:
        found = await drivers.broker.admin().find(ids)
        return frozenset(
            key for key, where in zip(ids, found, strict=True) if where is not None and where.place is Place.DEAD
        )

    return Overlaps(backend.get, dead, settings.result_expires or FORGOTTEN_SECONDS)
