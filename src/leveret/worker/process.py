"""A worker process: user code on the main thread (or the executor's own), the I/O loop on a side thread."""

import asyncio
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from msgspec import Struct

from leveret.errors import CallerError, LeveretError
from leveret.logic.remote.plain import plain
from leveret.model.control import (
    Appointed,
    Ask,
    Broken,
    Drained,
    Leaving,
    Noted,
    Quiet,
    Ready,
    ReturnUnstarted,
    SendEvents,
    Steer,
    StopNow,
    Testify,
    ToChild,
    Told,
    Waiting,
)
from leveret.model.node import Testimony
from leveret.model.remote.steering import Steering
from leveret.ports.executor import Executor
from leveret.ports.middleware import WorkerPart
from leveret.signals import heartbeat_sent, worker_ready, worker_shutdown, worker_shutting_down
from leveret.worker.context import WorkerHooks
from leveret.worker.remote.respondent import Elsewhere
from leveret.worker.worker import Worker

log = logging.getLogger("leveret.worker")

STOPPING = "stopping"
"""How the reason begins that a supervisor gives when its node ends."""
ORPHAN_SECONDS = 2.0
"""How long what runs may go on when the supervisor is gone."""


class Serving(Executor, Protocol):
    """An executor as a process needs it: it holds the main thread, and runs coroutines on the loop for user code."""

    def serve(self) -> None: ...

    def complete(self, work: Any) -> Any: ...

    def dispose(self) -> None: ...


class Line(Protocol):
    """A worker process's end of the channel to its supervisor. `read` answers None when the supervisor is gone."""

    def send(self, message: Struct) -> None: ...

    async def read(self) -> ToChild | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessHooks:
    """What wiring wants to hear. `on_lifespan` gets what the lifespan yielded, before the first claim."""

    on_lifespan: Callable[[Any], None] = lambda value: None
    testify: Callable[[tuple[Testimony, ...]], None] = lambda told: None
    """Called on the I/O loop with what the supervisor saw."""
    steer: Callable[[Steering], None] = lambda steering: None
    """Called before the worker hears of it: queues it must know how to consume."""
    elsewhere: Elsewhere | None = None
    """What the app answers to remote control, which this floor does not know."""
    commands: tuple[tuple[str, str], ...] = ()
    """What the app adds to remote control."""
    parts: Sequence[WorkerPart] = ()
    """Those of the app, in the order in which they are started."""
    heartbeat_seconds: float = 0.0
    """How often the process that speaks for the node sends `heartbeat_sent`; 0: never."""


Build = Callable[[WorkerHooks], AbstractAsyncContextManager[Worker]]
"""Makes the worker on the I/O loop; leaving the context closes its connections."""

Lifespan = AbstractContextManager[Any] | AbstractAsyncContextManager[Any]


def run_process(
    build: Build,
    executor: Serving,
    channel: Line | None,
    *,
    tasks: tuple[str, ...] = (),
    lifespan: Lifespan | None = None,
    hooks: ProcessHooks | None = None,
) -> int:
    """Run a worker to its end; answers the exit code. Called on the main thread, returns when all is settled.

    `channel` None: there is no supervisor; whoever called stops the worker. A job that cannot be
    stopped ends the process from inside (`os._exit`).
    """
    hooks = hooks or ProcessHooks()
    process = _Process(build, executor, channel, tasks, hooks)
    started: list[WorkerPart] = []
    try:
        for part in hooks.parts:
            part.start()
            started.append(part)
        # Before the first claim, on the main thread and the user loop: where the tasks will meet what it made.
        hooks.on_lifespan(_enter(lifespan, executor))
    except BaseException:
        what = "lifespan" if len(started) == len(hooks.parts) else "worker part"
        process.tell(Broken(f"the app's {what} failed:\n" + traceback.format_exc().rstrip(), permanent=True))
        _stop_all(started)
        executor.dispose()
        return 1
    thread = threading.Thread(target=process.serve, name="leveret-io", daemon=True)
    thread.start()
    executor.serve()
    thread.join()
    try:
        # After the last settle.
        _leave(lifespan, executor)
    except Exception:
        log.exception("the app's lifespan failed at its end")
    _stop_all(started)
    executor.dispose()
    return process.code


class _Process:
    """The I/O thread."""

    def __init__(
        self, build: Build, executor: Serving, channel: Line | None, tasks: tuple[str, ...], hooks: ProcessHooks
    ) -> None:
        self._build, self._executor, self._channel, self._tasks = build, executor, channel, tasks
        self._hooks = hooks
        self._reason = ""
        self._total: Mapping[str, int] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._speaks = self._ending = self._quieted = False
        self.code = 0

    def tell(self, message: Struct) -> None:
        # A supervisor that is gone is noticed by the reader.
        if self._channel is not None:
            with suppress(LeveretError):
                self._channel.send(message)

    def serve(self) -> None:
        """Run the loop; whatever happens, the main thread gets its way out."""
        try:
            asyncio.run(self._work())
            self.tell(Drained(self._reason, self._total))
        except BaseException as error:
            self.code = 1
            log.critical("worker process broke", exc_info=True)
            self.tell(Broken(traceback.format_exc().rstrip(), permanent=isinstance(error, CallerError)))
        if self._executor.running():
            # A job that outlived its hard limit or the grace: nothing of it is awaited any more.
            _flush()
            os._exit(self.code)
        self._executor.close()

    async def _work(self) -> None:
        hooks = WorkerHooks(
            on_ready=self._on_ready,
            on_drained=self._on_drained,
            on_leaving=lambda reason: self.tell(Leaving(reason)),
            on_waiting=self._on_waiting,
            on_tally=self.tell,
        )
        async with self._build(hooks) as worker:
            listening = asyncio.ensure_future(self._listen(worker))
            beating = asyncio.ensure_future(self._beat(worker))
            try:
                await worker.run()
            finally:
                self._total = dict(worker.respondent.total)
                listening.cancel()
                beating.cancel()
                await asyncio.gather(listening, beating, return_exceptions=True)
                if self._ending:
                    worker.speaker.say(worker_shutdown, worker.speaker.consumer)
                await asyncio.to_thread(worker.speaker.close)

    async def _listen(self, worker: Worker) -> None:
        channel = self._channel
        while channel is not None:
            message = await channel.read()
            match message:
                case None:
                    worker.quiet(ORPHAN_SECONDS, "the supervisor is gone")
                    return
                case Quiet(grace, reason):
                    worker.quiet(grace, reason)
                    self._quiet_parts()
                    self._shutting_down(worker, "Warm", reason)
                case StopNow():
                    worker.abandon()
                    self._quiet_parts()
                    self._shutting_down(worker, "Cold", STOPPING)
                case ReturnUnstarted():
                    worker.return_unstarted()
                case Appointed(ready):
                    self._appointed(worker, ready=ready)
                case SendEvents(on):
                    worker.send_events(on)
                case Testify(number, told):
                    self._hooks.testify(told)
                    self.tell(Noted(number))
                case Steer(steering):
                    self._hooks.steer(steering)
                    worker.respondent.steer(steering)
                case Ask():
                    task = asyncio.ensure_future(self._answer(worker, message))
                    self._answering.add(task)
                    task.add_done_callback(self._answering.discard)
                case other:
                    assert_never(other)

    async def _beat(self, worker: Worker) -> None:
        while seconds := self._hooks.heartbeat_seconds:
            await asyncio.sleep(seconds)
            if self._speaks and not self._ending:
                worker.speaker.say(heartbeat_sent, worker.speaker.consumer)

    async def _answer(self, worker: Worker, asked: Ask) -> None:
        try:
            value = await worker.respondent.answer(asked.method, asked.arguments, self._hooks.elsewhere)
            self.tell(Told(asked.number, plain(value)))
        except Exception as error:  # goes back to whoever asked
            self.tell(Told(asked.number, error=repr(error)))

    def _quiet_parts(self) -> None:
        if self._hooks.parts and not self._quieted:
            self._quieted = True
            threading.Thread(target=_quiet_all, args=(self._hooks.parts,), name="leveret-quiet", daemon=True).start()

    def _appointed(self, worker: Worker, *, ready: bool) -> None:
        self._speaks = True
        if ready:
            worker.speaker.say(worker_ready, worker.speaker.consumer)

    def _shutting_down(self, worker: Worker, how: str, reason: str) -> None:
        """Of the node, not of this process, and once."""
        if self._speaks and not self._ending and reason.startswith(STOPPING):
            self._ending = True
            worker.speaker.say(worker_shutting_down, "SIGTERM", sig="SIGTERM", how=how, exitcode=0)

    def _on_ready(self, session: str) -> None:
        self.tell(Ready(os.getpid(), session, self._tasks, self._hooks.commands))

    def _on_drained(self, reason: str) -> None:
        self._reason = reason

    def _on_waiting(self, running: tuple[str, ...]) -> None:
        self.tell(Waiting(running))


def _enter(lifespan: Lifespan | None, executor: Serving) -> Any:
    if isinstance(lifespan, AbstractAsyncContextManager):
        return executor.complete(_entered(lifespan))
    return None if lifespan is None else lifespan.__enter__()


def _leave(lifespan: Lifespan | None, executor: Serving) -> None:
    if isinstance(lifespan, AbstractAsyncContextManager):
        executor.complete(_left(lifespan))
    elif lifespan is not None:
        lifespan.__exit__(None, None, None)


async def _entered(lifespan: AbstractAsyncContextManager[Any]) -> Any:
    return await lifespan.__aenter__()


async def _left(lifespan: AbstractAsyncContextManager[Any]) -> None:
    await lifespan.__aexit__(None, None, None)


def _stop_all(parts: Sequence[WorkerPart]) -> None:
    for part in reversed(parts):
        try:
            part.stop()
        except Exception:
            log.exception("a worker part failed at its end")


def _quiet_all(parts: Sequence[WorkerPart]) -> None:
    for part in reversed(parts):
        try:
            part.quiet()
        except Exception:
            log.exception("a worker part failed as it was to be quiet")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
