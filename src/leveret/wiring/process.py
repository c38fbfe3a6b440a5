"""Joins and runs a worker process around an app."""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

from leveret import signals
from leveret.client.frameworks.surroundings import Surroundings
from leveret.config.configuration import Configuration
from leveret.model.control import ToChild
from leveret.model.options import WorkerOptions
from leveret.model.task import Registry
from leveret.ports.driver import Witness
from leveret.ports.middleware import Middleware, WorkerPart
from leveret.supervisor.channel import Channel
from leveret.supervisor.deaths.custody import entrust
from leveret.supervisor.slots import SlotWriter
from leveret.wiring.clock import SystemClock
from leveret.wiring.remote.answers import AppAnswers
from leveret.wiring.worker import Joined, join_worker
from leveret.worker.context import WorkerHooks
from leveret.worker.logs import TaskLog, set_up_logging
from leveret.worker.process import ProcessHooks, run_process
from leveret.worker.worker import Worker


class App(Protocol):
    """What a worker process needs of an app; the class itself stands above this floor."""

    conf: Configuration

    @property
    def tasks(self) -> Registry: ...

    @property
    def surroundings(self) -> Surroundings: ...

    @property
    def middleware(self) -> list[Middleware]: ...

    @property
    def worker_parts(self) -> list[WorkerPart]: ...

    def open_lifespan(self) -> AbstractAsyncContextManager[Any]: ...


def run_child(app: App, options: WorkerOptions, channel: Channel[ToChild]) -> int:
    """Be a worker process; answers its exit code."""
    clock = SystemClock()
    facts = WorkerFacts(app, options)
    facts.begin()
    tasks = set_up_logging(options, clock, f"{options.pool}-{os.getpid()}")
    page = SlotWriter(options.page, time_limit=options.time_limit) if options.page else None
    joined = join_worker(app.conf.settings, options, app.tasks, clock, page)
    joined.runner.surroundings = (*app.surroundings.around, *app.surroundings.in_workers)
    joined.runner.complete, joined.runner.middleware = joined.executor.complete, tuple(app.middleware)
    code = run_process(
        _builder(joined, options, tasks),
        joined.executor,
        channel,
        tasks=tuple(app.tasks),
        lifespan=app.open_lifespan(),
        hooks=replace(
            _hooks(joined, options, app),
            parts=tuple(app.worker_parts),
            heartbeat_seconds=options.heartbeat_seconds,
        ),
    )
    facts.end(code)
    return code


class WorkerFacts:
    """The sender of signals about a worker process, where Celery's is its worker object; and when they are sent."""

    def __init__(self, app: App, options: WorkerOptions) -> None:
        self.app, self.hostname = app, options.node.name
        self.options = {
            name: getattr(options, name)
            for name in ("pool", "queues", "loglevel", "logfile", "max_tasks_per_child", "time_limit")
        }
        self.concurrency = options.node.slots
        self.pid = os.getpid()

    def begin(self) -> None:
        """Before anything is made from the settings: a receiver may still change them."""
        conf = self.app.conf
        signals.celeryd_init.send(self.hostname, instance=self, conf=conf, options=self.options)
        signals.celeryd_after_setup.send(self.hostname, instance=self, conf=conf)
        signals.worker_init.send(self)
        signals.worker_process_init.send(self.hostname)

    def end(self, code: int) -> None:
        signals.worker_process_shutdown.send(self.hostname, pid=self.pid, exitcode=code)


def _hooks(joined: Joined, options: WorkerOptions, app: App) -> ProcessHooks:
    def on_lifespan(value: Any) -> None:
        joined.runner.lifespan = value

    answers = AppAnswers(app, app.conf, app.tasks, joined.drivers.topology, options.node.name)
    answers.steer(options.steering)
    plain = ProcessHooks(
        on_lifespan=on_lifespan, steer=answers.steer, elsewhere=answers.answer, commands=answers.commands
    )
    if not hasattr(joined.drivers.broker, "testify"):
        return plain
    witness = cast(Witness, joined.drivers.broker)
    witness.testify(options.testimony)
    if options.page:
        witness.on_socket(lambda session, sock: entrust(Path(options.page).parent, session, sock))
    return replace(plain, testify=witness.testify)


def _builder(joined: Joined, options: WorkerOptions, tasks: TaskLog) -> Any:
    @asynccontextmanager
    async def build(hooks: WorkerHooks) -> AsyncIterator[Worker]:
        try:
            yield Worker(joined.parts, options, hooks, tasks)
        finally:
            await joined.parts.broker.close()
            if joined.parts.backend is not None:
                await joined.parts.backend.close()

    return build
