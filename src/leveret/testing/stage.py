"""An app in memory on simulated time: what it sends is seen, its tasks run when the test says so, days pass at once."""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from leveret.app import Leveret
from leveret.client import current
from leveret.client.client import AsyncParts, Client
from leveret.client.schedules.face import Schedules
from leveret.config.settings import Settings
from leveret.links.memory.server import server_at
from leveret.model.endpoint import Url
from leveret.model.message import Message
from leveret.model.node import Node
from leveret.model.options import WorkerOptions
from leveret.model.settlement import Record
from leveret.ports.backend import Backend, BlockingBackend
from leveret.testing.clock import SimClock
from leveret.testing.inplace import InPlaceExecutor, without_loop
from leveret.testing.loop import run_virtual
from leveret.testing.sent import Sent
from leveret.wiring.client import build_client
from leveret.wiring.drivers import driver_options, open_drivers
from leveret.wiring.remote.steering import Remote
from leveret.wiring.scheduler import open_schedules
from leveret.wiring.worker import join_worker
from leveret.worker.worker import Worker

_numbers = itertools.count(1)

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_DURATION = re.compile(r"\s*([\d.]+)\s*(seconds?|minutes?|hours?|days?|weeks?|[smhdw])\s*,?")


class NeverComes(AssertionError):
    """A test waits for a result that nothing is left to store."""


class Stage:
    """The test's hold on an app under `using`. Its clock moves only when told."""

    def __init__(self, app: Leveret) -> None:
        self.app = app
        self.clock = SimClock()
        self.url = Url(f"memory://testing-{next(_numbers)}")
        self._sent: list[Sent] = []
        self._busy = False
        # Held, so that the server lives as long as the stage does.
        self._drivers = open_drivers(self.settings(app.conf.settings), self.clock)

    def settings(self, settings: Settings) -> Settings:
        return replace(settings, broker_url=self.url, result_backend=None)

    # Time and work.

    def run_until_idle(self) -> int:
        """Run what waits and is due, and what follows from it; answers how many runs that were."""
        if self._busy:
            return 0
        self._busy, ran = True, 0
        try:
            while self._ready():
                here = self._run_once()
                ran += here
                if not here:
                    break
        finally:
            self._busy = False
        return ran

    def advance(self, duration: float | timedelta | str) -> int:
        """Let time pass (`3600`, `timedelta(hours=1)`, `"3 days"`), running on the way whatever becomes due."""
        end = self.clock.elapsed + read_duration(duration)
        ran = self.run_until_idle()
        while (due := self._next_due()) is not None and due - self.clock.start <= end:
            self.clock.elapsed = max(self.clock.elapsed, due - self.clock.start)
            here = self.run_until_idle()
            ran += here
            # What expired, was revoked or is parked as unknown moved on without a run.
            if not here and self._next_due() == due:
                break
        self.clock.elapsed = max(self.clock.elapsed, end)
        return ran + self.run_until_idle()

    def let_pass(self, ids: Sequence[str], seconds: float) -> None:
        """Run and let time pass until one of `ids` has ended, `seconds` at most."""
        end = self.clock.elapsed + seconds
        while True:
            ran = self.run_until_idle()
            if self._busy or any(record is not None and record.terminal for record in self._server().get(ids)):
                return
            due = self._next_due()
            if due is None and not ran and not self._ready():
                raise NeverComes(f"nothing waits or runs that could store the result of {', '.join(ids)}")
            next_moment = end if due is None else min(end, due - self.clock.start)
            self.clock.elapsed = max(self.clock.elapsed, next_moment)
            if self.clock.elapsed >= end:
                return

    def _server(self) -> Any:
        return server_at(str(self.url), driver_options(self.settings(self.app.conf.settings)), self.clock)

    def _queues(self) -> tuple[str, ...]:
        return tuple(count.queue for count in self._server().counts(()))

    def _ready(self) -> bool:
        return any(count.ready for count in self._server().counts(()))

    def _next_due(self) -> float | None:
        due: float | None = self._server().messages.next_due(self._queues())
        return due

    def _run_once(self) -> int:
        """One worker, from its first claim until nothing is left for it."""
        settings = self.settings(self.app.conf.settings)
        name = "test@stage"
        node = Node(name=name, incarnation=self.clock.new_id(), boot="stage", pid=0, queues=self._queues(), slots=1)
        options = WorkerOptions(node=node, pool="solo", queues=self._queues(), burst=True)
        executors: list[InPlaceExecutor] = []

        def make(runner: Any) -> InPlaceExecutor:
            executors.append(InPlaceExecutor(runner))
            return executors[0]

        joined = join_worker(settings, options, self.app.tasks, self.clock, make_executor=make)
        joined.runner.middleware = tuple(self.app.middleware)

        joined.runner.surroundings = tuple(self.app.surroundings.around)

        async def work() -> None:
            async with self.app.open_lifespan() as value:
                joined.runner.lifespan = value
                await Worker(joined.parts, options).run()

        without_loop(lambda: run_virtual(work(), self.clock))
        return executors[0].ran

    # What was sent.

    def sent(self, task: Any = None) -> list[Sent]:
        """The calls so far, of one task (or its name) or of all; what tasks sent themselves included."""
        name = getattr(task, "name", task)
        return [call for call in self._sent if name is None or call.task == name]

    def assert_sent(self, task: Any, *args: Any, **options: Any) -> Sent:
        """Fail unless the task was sent with exactly these arguments, and with these call options (`queue=`, ...)."""
        calls = self.sent(task)
        for call in calls:
            if call.matches(args, options):
                return call
        name = getattr(task, "name", task)
        expected = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in options.items())])
        others = "".join(f"\n  {call}" for call in (calls or self._sent)) or " nothing"
        raise AssertionError(f"{name}({expected}) was not sent; sent were:{others}")

    def forget_sent(self) -> None:
        self._sent.clear()

    def client(self, settings: Settings) -> Client:
        """The client an app gets under `using`."""
        made = build_client(self.settings(settings), self.clock)
        backend, connect = made.parts.backend, made.parts.connect
        parts = replace(
            made.parts,
            backend=None if backend is None else cast(BlockingBackend, _BlockingStore(backend, self)),
            connect=lambda: self._staged(connect()),
        )
        return _RecordingClient(parts, made.options, self._record)

    def steering(self, settings: Settings) -> Remote:
        """What `app.control` speaks through under `using`: no node listens between two runs, but what is revoked or
        paused is remembered."""
        return Remote(self.settings(settings), self.clock)

    def _staged(self, parts: AsyncParts) -> AsyncParts:
        backend = parts.backend
        return replace(parts, backend=None if backend is None else cast(Backend, _AsyncStore(backend, self)))

    def _record(self, messages: Sequence[Message]) -> None:
        now = self.clock.now()
        self._sent += [
            Sent(task=message.task, args=message.args, kwargs=message.kwargs, at=now, message=message)
            for message in messages
        ]


class _RecordingClient(Client):
    takes_plain_calls = False

    def __init__(self, parts: Any, options: Any, record: Callable[[Sequence[Message]], None]) -> None:
        super().__init__(parts, options)
        self._record = record

    def submit(self, messages: Sequence[Message], *, timeout: float | None = None) -> None:
        super().submit(messages, timeout=timeout)
        self._record(messages)

    async def asubmit(self, messages: Sequence[Message], *, timeout: float | None = None) -> None:
        await super().asubmit(messages, timeout=timeout)
        self._record(messages)


class _BlockingStore:
    """Whoever waits for a result lets the tasks run and simulated time pass."""

    def __init__(self, backend: BlockingBackend, stage: Stage) -> None:
        self._backend, self._stage = backend, stage

    def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        self._stage.let_pass(ids, timeout)
        return self._backend.get(ids)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


class _AsyncStore:
    def __init__(self, backend: Backend, stage: Stage) -> None:
        self._backend, self._stage = backend, stage

    async def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        self._stage.let_pass(ids, timeout)
        return await self._backend.get(ids)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def read_duration(duration: float | timedelta | str) -> float:
    """Seconds of a number, a timedelta or a text such as `"3 days"` or `"1 hour 30 minutes"`."""
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    if not isinstance(duration, str):
        return float(duration)
    found = _DURATION.findall(duration)
    if not found or _DURATION.sub("", duration).strip():
        raise ValueError(f"{duration!r} is no duration: expected something like '3 days' or '1 hour 30 minutes'")
    return sum(float(number) * _UNITS[unit[0]] for number, unit in found)


@contextmanager
def using(app: Leveret) -> Iterator[Stage]:
    """Put an app on a stage: memory for broker and results, simulated time; as it was before at the end."""
    stage = Stage(app)
    before = current.peek()
    app.substitute(stage.client, stage.steering)
    app.set_default()
    try:
        yield stage
    finally:
        app.substitute(None)
        current.set_default(before)


class StagedLeveret(Leveret):
    """`testing.app()`: an app that lives on a stage of its own."""

    def __init__(self, main: str = "tests", **settings: Any) -> None:
        super().__init__(main, broker="memory://testing", **settings)
        self.stage = Stage(self)
        self.substitute(self.stage.client, self.stage.steering)

    @property
    def clock(self) -> SimClock:
        return self.stage.clock

    @property
    def schedules(self) -> Schedules:
        return Schedules(self, lambda settings: open_schedules(self.stage.settings(settings)))

    def run_until_idle(self) -> int:
        return self.stage.run_until_idle()

    def advance(self, duration: float | timedelta | str) -> int:
        return self.stage.advance(duration)

    def sent(self, task: Any = None) -> list[Sent]:
        return self.stage.sent(task)

    def assert_sent(self, task: Any, *args: Any, **options: Any) -> Sent:
        return self.stage.assert_sent(task, *args, **options)


def app(main: str = "tests", **settings: Any) -> StagedLeveret:
    """Make an app in memory on simulated time; keywords are settings."""
    return StagedLeveret(main, **settings)
