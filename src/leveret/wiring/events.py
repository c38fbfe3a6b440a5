"""Opens what is needed to watch events, or to see whether the broker answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured
from leveret.model.endpoint import Url
from leveret.ports.operations.events import EventFeed
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers, required_broker_url

__all__ = ["open_feed", "reach", "required_broker_url", "with_broker"]


@asynccontextmanager
async def open_feed(settings: Settings, key: str) -> AsyncIterator[EventFeed]:
    """What one watcher hears on the running loop, from now on."""
    drivers = open_drivers(settings, SystemClock())
    bus = drivers.events()
    if bus is None:
        raise ImproperlyConfigured(f"there are no events on {drivers.broker.address}")
    feed = await bus.watch(key)
    try:
        yield feed
    finally:
        await feed.close()
        await bus.close()


async def reach(settings: Settings) -> None:
    """Ask the broker something. Raises `OperationalError` where it does not answer."""
    drivers = open_drivers(settings, SystemClock())
    await drivers.broker.admin().counts((settings.task_default_queue,))


def with_broker(settings: Settings, url: str | None) -> Settings:
    """The same, for another broker where one is named."""
    return settings if url is None else replace(settings, broker_url=Url(url))
