"""What a verb works on: the app's settings and drivers, or those of a broker named without an app."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from leveret.app import Leveret
from leveret.cli.finder import named, open_app
from leveret.cli.invocation import invocation
from leveret.cli.node.planner import queue_names, routed_queues
from leveret.config.settings import Settings
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import Drivers, open_drivers

T = TypeVar("T")


def target_app() -> Leveret:
    """The app that is named anywhere; with only a broker, an app without tasks on it."""
    call = invocation()
    nameless = named(call.app, os.environ, Path.cwd()) is None
    if nameless and (call.broker or os.environ.get("LEVERET_BROKER_URL")):
        app = Leveret("leveret", set_as_current=False)
        app.conf.override(call.overrides())
        return app
    return open_app(call.app, call.overrides()).app


def target_settings() -> Settings:
    return target_app().conf.settings


def target_queues(app: Leveret) -> tuple[str, ...]:
    """The queues this app knows: listed, routed to, and the default one."""
    settings = app.conf.settings
    names = (*queue_names(settings.task_queues), *routed_queues(app, settings), settings.task_default_queue)
    return tuple(dict.fromkeys(names))


def on_drivers(settings: Settings, work: Callable[[Drivers], Awaitable[T]]) -> T:
    """Open the drivers, do the work on a loop, close them."""

    async def run() -> T:
        drivers = open_drivers(settings, SystemClock())
        try:
            return await work(drivers)
        finally:
            await drivers.broker.broker().close()

    return asyncio.run(run())
