"""The entry of every worker process: find the app, then let wiring build the worker around it."""

import os

import msgspec

from leveret.app import Leveret
from leveret.cli.finder import Found, open_app
from leveret.cli.node.plan import TELL
from leveret.cli.node.planner import plan_of, refusal
from leveret.config.settings import Settings
from leveret.model.control import ToChild
from leveret.model.options import WorkerOptions
from leveret.supervisor.channel import Channel
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers
from leveret.wiring.parts import load
from leveret.wiring.process import run_child


def preload(options: WorkerOptions) -> Leveret:
    """Import the app and everything it names, as the command line asked for it."""
    if options.workdir:
        os.chdir(options.workdir)
    descriptor = os.environ.pop(TELL, None)
    found = _opened(options) if descriptor is None else _told(options, int(descriptor))
    _warm(found.app.conf.settings)
    return found.app


def run(app: Leveret, options: WorkerOptions, channel: Channel[ToChild]) -> int:
    """Be a worker process; answers its exit code."""
    return run_child(app, options, channel)


def _warm(settings: Settings) -> None:
    """Import what every child will need, so that they share it: drivers and pool. Nothing is opened."""
    open_drivers(settings, SystemClock())
    load("executors", settings.worker_pool)


def _opened(options: WorkerOptions) -> Found:
    return open_app(options.app or None, options.settings)


def _told(options: WorkerOptions, descriptor: int) -> Found:
    """As `_opened`, with a plan or a refusal for the supervisor that waits at the other end."""
    with open(descriptor, "wb") as supervisor:
        try:
            found = _opened(options)
            plan = msgspec.json.encode(plan_of(found))
        except Exception as error:
            supervisor.write(msgspec.json.encode(refusal(error)))
            raise
        supervisor.write(plan)
    return found
