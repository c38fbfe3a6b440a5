"""The application object users create: a registry, a client and settings."""

import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, Unpack, overload

from leveret import signals
from leveret.client import current, sending
from leveret.client import options as calls
from leveret.client.canvas import chords as _chords  # noqa: F401 - names the kinds of signatures
from leveret.client.canvas.builtin import make_builtin
from leveret.client.client import Client
from leveret.client.events.watching import Watching
from leveret.client.extending.face import Extended
from leveret.client.frameworks.adapting import adapt
from leveret.client.frameworks.surroundings import Surroundings
from leveret.client.groups import GroupResult, ResultSet
from leveret.client.options import CallOptions, Seconds
from leveret.client.project import file_of
from leveret.client.registry import TaskRegistry
from leveret.client.result import AsyncResult as Result
from leveret.client.schedules.adding import Periodic
from leveret.client.signature import Signature, signature
from leveret.client.task import CoroutineTask, Task
from leveret.client.tasks.decorator import BatchDecorator, BindingDecorator, Decorator
from leveret.client.tasks.discovery import Discovery, Packages, import_related
from leveret.client.tasks.lifespan import LifespanFunction, open_lifespan
from leveret.client.tasks.making import TaskOptions, make_task, refuse_other, task_name
from leveret.client.tasks.moments import Moment
from leveret.client.tasks.sender import Plain, calls_of
from leveret.config.configuration import Configuration
from leveret.config.settings import Settings
from leveret.model.limiting.declared import Batch
from leveret.model.task import TaskDefinition

if TYPE_CHECKING:
    from leveret.client.control.face import Control
    from leveret.client.schedules.face import Schedules

_INSTEAD = {
    "amqp": "queues and routes are settings, `task_queues` and `task_routes`",
    "backend": "results are asked of `AsyncResult(id)`",
    "loader": "what is imported say `include`, `imports` and `autodiscover_tasks`",
    "log": "receivers of `signals.setup_logging` and `after_setup_logger` change it",
    "steps": "a part of one's own is a class under `@app.add_worker_part`",
}
"""What Celery's app has and ours has otherwise, so that a ported program is told more than a missing name."""

P = ParamSpec("P")
R = TypeVar("R")
FunctionT = TypeVar("FunctionT", bound=LifespanFunction)


class Sending:
    """The half of an app that calls."""

    conf: Configuration
    tasks: TaskRegistry
    _make_client: Callable[[Settings], Client]
    _steering: Callable[[Settings], Any] | None = None
    _client: Client | None
    _client_settings: Settings | None
    _lock: threading.RLock
    """Guards making the client and finalizing; nothing is awaited or sent under it."""

    def definition(self, name: str) -> TaskDefinition | None:
        """A task's options under the present settings."""
        return self.tasks.find(name)

    @property
    def client(self) -> Client:
        """The sending side under the present settings; nothing is opened before the first call."""
        return self._client_under(self.conf.settings)

    def to_send(self, name: str) -> tuple[Client, TaskDefinition | None]:
        """Client and definition for one call, under one look at the settings."""
        settings = self.conf.settings
        return self._client_under(settings), self.tasks.find_under(settings, name)

    def _client_under(self, settings: Settings) -> Client:
        if settings is self._client_settings and self._client is not None:
            return self._client
        with self._lock:
            if self._client is None or settings is not self._client_settings:
                self._client, self._client_settings = self._make_client(settings), settings
            return self._client

    def substitute(
        self, make_client: Callable[[Settings], Client] | None, steering: Callable[[Settings], Any] | None = None
    ) -> None:
        """Have clients and remote control made by these from now on (tests); None: by wiring again."""
        self._make_client, self._client, self._steering = make_client or self._wired, None, steering
        self.conf.renew()

    @staticmethod
    def _wired(settings: Settings) -> Client:
        """Join the parts the settings name."""
        # Imported here: wiring knows asyncio and the drivers, which a program that only declares tasks never needs.
        from leveret.wiring.client import build_client

        return build_client(settings)

    def send_task(
        self,
        name: str,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Result[Any]:
        """Send a call by the task's name; the task need not be known here."""
        calls.check(options)
        client, definition = self.to_send(name)
        if client.options.always_eager and definition is not None:
            eager: Result[Any] = self.tasks[name].send(calls.positional(args), calls.named(kwargs), options)
            return eager
        return sending.send(client, name, calls.positional(args), calls.named(kwargs), options, definition)

    async def asend_task(
        self,
        name: str,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Result[Any]:
        calls.check(options)
        client, definition = self.to_send(name)
        if client.options.always_eager and definition is not None:
            eager: Result[Any] = await self.tasks[name].asend(calls.positional(args), calls.named(kwargs), options)
            return eager
        return await sending.asend(client, name, calls.positional(args), calls.named(kwargs), options, definition)

    def send_many(self, signatures: Iterable[Signature[R]], timeout: Seconds | None = None) -> list[Result[R]]:
        """Send many calls in one publish: all are durable when it returns."""
        if self.client.options.always_eager:
            return [one.apply_async() for one in signatures]
        given = list(signatures)
        if plain := Plain.of(self, given):
            return plain.send(None if timeout is None else calls.seconds(timeout))
        return sending.send_calls(self.client, calls_of(self, given), {"timeout": timeout})

    async def asend_many(self, signatures: Iterable[Signature[R]], timeout: Seconds | None = None) -> list[Result[R]]:
        if self.client.options.always_eager:
            return [await one.aapply_async() for one in signatures]
        given = list(signatures)
        if plain := Plain.of(self, given):
            return await plain.asend(None if timeout is None else calls.seconds(timeout))
        return await sending.asend_calls(self.client, calls_of(self, given), {"timeout": timeout})

    def signature(self, *args: Any, **kwargs: Any) -> Signature[Any]:
        """A signature of this app."""
        return signature(*args, app=self, **kwargs)

    def AsyncResult(self, id: str, **kwargs: Any) -> Result[Any]:  # noqa: N802 - Celery's name
        """The result of an earlier call."""
        return Result(id, app=self, **kwargs)

    def ResultSet(self, results: Iterable[Any], **kwargs: Any) -> ResultSet:  # noqa: N802 - Celery's name
        return ResultSet(results, app=self, **kwargs)

    def GroupResult(self, id: str | None = None, results: Iterable[Any] = (), **kwargs: Any) -> GroupResult:  # noqa: N802
        return GroupResult(id, results, app=self, **kwargs)


class Leveret(Sending, Periodic, Watching, Extended):
    """An app: `app = Leveret("tasks")` is enough; its queue then lies in `.leveret/queue.db` of its project.

    Every method may be called from any thread.
    """

    def __init__(
        self,
        main: str | None = None,
        broker: str | None = None,
        backend: str | None = None,
        include: Iterable[str] | str = (),
        *,
        set_as_current: bool = True,
        task_cls: Any = None,
        autofinalize: bool = True,
        namespace: str | None = None,
        config_source: Any = None,
        changes: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Further keywords are settings. Celery's signature."""
        self.main = main
        self.file = file_of(sys._getframe(1).f_globals)
        """Where the app was made: its project folder holds the embedded queue."""
        named = {"broker_url": broker, "result_backend": backend, "include": include or None}
        given = {**(changes or {}), **{name: value for name, value in named.items() if value is not None}, **settings}
        self.conf = Configuration(given, app_file=self.file)
        if config_source is not None:
            self.conf.config_from_object(config_source, namespace=namespace)
        self.tasks = TaskRegistry(
            lambda: self.conf.settings, self.finalize, lambda name: make_builtin(name, self, Task.of_function)
        )
        self.on_configure, self.on_after_configure, self.on_after_finalize = (
            Moment("on_configure"), Moment("on_after_configure"), Moment("on_after_finalize"),
        )  # fmt: skip
        self.finalized, self.autofinalize = False, autofinalize
        self._task_class: type[Task[..., Any]] = _named(task_cls) or Task
        self._discovery, self.surroundings = Discovery(), Surroundings()
        self._lifespan: LifespanFunction | None = None
        self._client_settings: Settings | None = None
        self._lock = threading.RLock()
        self.substitute(None)
        adapt(self)
        if set_as_current:
            self.set_default()

    # Tasks.

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...
    @overload
    def task(self, /, *, bind: Literal[True], **options: Unpack[TaskOptions]) -> BindingDecorator: ...
    @overload
    def task(self, /, *, bind: Literal[False] = False, **options: Unpack[TaskOptions]) -> Decorator: ...
    @overload
    def task(self, /, *, batch: Batch, bind: bool = False, **options: Unpack[TaskOptions]) -> BatchDecorator: ...
    def task(self, function: Any = None, /, *, bind: bool = False, **options: Any) -> Any:
        """Make a function a task: `@app.task` or `@app.task(queue="x", bind=True, ...)`."""
        if function is None:
            return lambda decorated: self._make(decorated, {**options, "bind": bind})
        return self._make(function, {**options, "bind": bind})

    def _make(self, function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
        return self._add(make_task(function, options, self._task_class, self.main))

    def register_task(self, task: Any, **options: Any) -> Any:
        """Register an instance (or the class) of a `Task` subclass that has `run`."""
        made = task() if isinstance(task, type) else task
        made.__dict__.update(options)
        if not made.name:
            made.name = self.gen_task_name(type(made).__name__, type(made).__module__)
        return self._add(made)

    def _add(self, task: Any) -> Any:
        replaced = self.tasks.peek(task.name)
        refuse_other(replaced, task)
        task.attach(self)
        self.tasks.register(task)
        if replaced is not None:
            # Decorated again (a notebook cell): who holds the old one sends with the new one's options too.
            replaced._sender = None
        return task

    def gen_task_name(self, name: str, module: str) -> str:
        """The name of a task that says none."""
        return task_name(name, module, self.main)

    def finalize(self, auto: bool = False) -> None:
        """Take in what `shared_task` declared, once."""
        if self.finalized or (auto and not self.autofinalize):
            return
        with self._lock:
            self.finalized = True
            for bind in current.shared():
                bind(self)
        self.on_after_finalize.send(self)

    def autodiscover_tasks(self, packages: Packages = None, related_name: str = "tasks", force: bool = False) -> None:
        """Have the `tasks` module of each package imported when a worker or command wants the tasks, or now."""
        if force:
            import_related(packages, related_name)
        else:
            self._discovery.add(packages, related_name)

    def import_modules(self) -> None:
        """Import every module that holds tasks of this app (`include`, `imports`, autodiscovery), then finalize."""
        settings = self.conf.settings
        self.on_configure.send(self)
        self.on_after_configure.send(self)
        signals.import_modules.send(self)
        import_related((*settings.include, *settings.imports), None)
        self._discovery.import_all()
        self.finalize()
        self.surroundings.imported()

    @property
    def Task(self) -> type[Task[..., Any]]:  # noqa: N802 - Celery's name
        """The base class of this app's tasks."""
        return self._task_class

    # The schedule.

    @cached_property
    def schedules(self) -> "Schedules":
        """The schedule: create, change, pause, resume, delete, run, next; with `a` in front for loops."""
        # Imported here, as in `_wired`: most programs that declare or send tasks never look at the schedule.
        from leveret.client.schedules.face import Schedules
        from leveret.wiring.scheduler import open_schedules

        return Schedules(self, open_schedules)

    @cached_property
    def control(self) -> "Control":
        """Remote control: inspect, revoke, and steering of nodes; with `a` in front for loops."""
        from leveret.client.control.face import Control
        from leveret.wiring.remote.steering import Remote

        return Control(self, self._steering or Remote)

    _watching = property(lambda self: import_module("leveret.wiring.events"))

    # Settings and life.

    def config_from_object(
        self, source: Any, silent: bool = False, force: bool = False, namespace: str | None = None
    ) -> None:
        """Read settings from an object, module or name, when they are first needed."""
        self.conf.config_from_object(source, silent=silent, namespace=namespace)

    def config_from_envvar(self, variable: str, silent: bool = False, force: bool = False) -> bool:
        """Read settings from the module an environment variable names."""
        return self.conf.config_from_envvar(variable, silent=silent)

    def lifespan(self, function: FunctionT) -> FunctionT:
        """Open something once per worker process, around everything it runs (`current_task.lifespan`)."""
        self._lifespan = function
        return function

    def open_lifespan(self) -> AbstractAsyncContextManager[Any]:
        """What a worker process enters before its first claim and leaves after its last settle."""
        return open_lifespan(self._lifespan, self)

    current_task = current.current_task

    def set_default(self) -> None:
        """Be the app that `shared_task`, `AsyncResult(id)`, `signature()` and `current_app` mean."""
        current.set_default(self)

    set_current = set_default

    def worker_main(self, argv: list[str] | None = None) -> Any:
        """Run the command line with this app: `app.worker_main(["worker", "-c", "2"])`."""
        # By name: the command line stands above the app.
        return import_module("leveret.cli.main").main(argv, app=self)

    start = worker_main

    def close(self) -> None:
        """Close this process's connection; the app may be used again."""
        if self._client is not None:
            self._client.close()

    async def aclose(self) -> None:
        """Close the running loop's connection and this process's."""
        await self._client.aclose() if self._client is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            instead = _INSTEAD.get(name)
            said = f"app.{name} is not here: {instead}" if instead else None
            raise AttributeError(
                said or f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self
            )

    def __repr__(self) -> str:
        return f"<Leveret {self.main or self.file or '(no name)'}>"


def _named(task_class: Any) -> Any:
    """A class, or the dotted name of one."""
    if not isinstance(task_class, str):
        return task_class
    module, _, name = task_class.replace(":", ".").rpartition(".")
    return getattr(import_module(module), name)
