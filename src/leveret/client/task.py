"""What `@app.task` returns: a function that can also be sent."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from types import MethodType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, Unpack, cast

from leveret.client import options as calls
from leveret.client import sending
from leveret.client.canvas import adding
from leveret.client.client import NO_OPTIONS
from leveret.client.current import App, default_app
from leveret.client.events.publishing import is_heard
from leveret.client.frameworks.committing import OnCommit
from leveret.client.options import CallOptions, Seconds
from leveret.client.result import AsyncResult as Result
from leveret.client.signature import Signature, chunks_of, map_of, starmap_of
from leveret.client.tasks import inside, replacing
from leveret.client.tasks.arguments import Check, checker, counts
from leveret.client.tasks.bound import BoundTask
from leveret.client.tasks.declared import Declared
from leveret.client.tasks.definition import check_declared
from leveret.client.tasks.eager import aapply, apply
from leveret.client.tasks.eager_result import EagerResult
from leveret.client.tasks.sender import Sender, sender_of
from leveret.errors import Retry
from leveret.model.message import Message
from leveret.model.request import CURRENT, Request
from leveret.model.task import TaskDefinition

P = ParamSpec("P")
R = TypeVar("R")


class Task(Declared, OnCommit[P], Generic[P, R]):
    """A registered function with a name and options.

    Subclass it for hooks or for a task with state of its own (`base=`, or `run` and `app.register_task(Mine())`).
    """

    _app: App | None = None
    _check: Check | None = None
    _sender: Sender | None = None
    _counts: range = range(0)  # how many arguments by position need no closer look

    def __init__(self) -> None:
        """Take nothing: a subclass sets options as class attributes."""

    # Its life in an app.

    @property
    def app(self) -> App:
        return default_app() if self._app is None else self._app

    def attach(self, app: App) -> None:
        """Belong to `app` from now on."""
        self._app = app
        self._sender = None
        self.prepare()
        self.on_bound(app)

    def prepare(self) -> None:
        """Look at the function's signature and at what limits it once."""
        check_declared(self)
        if self.typing and self.batch is None:
            self._check = checker(self.run)
            self._counts = counts(self.run)

    def copy(self, kind: "type[Self] | None" = None) -> Self:
        """The same task for another app (`shared_task`), whose tasks may be of another class."""
        twin = type(self).__new__(type(self)) if kind is None else kind()
        twin.__dict__.update(self.__dict__)
        if isinstance(twin.run, MethodType) and twin.run.__self__ is self:
            twin.run = MethodType(twin.run.__func__, twin)
        return twin

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise TypeError when the function cannot be called so; `typing=False` turns it off."""
        if self._check is not None:
            self._check(args, kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an option at any time: it counts from the next call on (a running worker keeps what it started with)."""
        object.__setattr__(self, name, value)
        if self._app is not None and name in _OPTIONS:
            self._app.tasks.changed(self.name)
            self._sender = None

    @classmethod
    def of_function(cls, function: Callable[..., Any], name: str, options: Mapping[str, Any], *, bind: bool) -> Any:
        """Make the task of one function; `bind` passes the task itself as first argument."""
        task = cls()
        task.name = name
        task.run = MethodType(function, task) if bind else function
        task.__dict__.update(options)
        task.__dict__.update(
            __name__=getattr(function, "__name__", name),
            __doc__=function.__doc__,
            __module__=function.__module__,
            __wrapped__=function,
        )
        return task

    def runnable(self) -> Callable[..., Any]:
        """What a worker calls with the message's arguments: the function, or an overridden `__call__` around it."""
        return self.run if type(self).__call__ is Task.__call__ else self

    @property
    def definition(self) -> TaskDefinition:
        found = self.app.definition(self.name)
        assert found is not None
        return found

    # Calling it.

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as a function, in this process."""
        request = CURRENT.get()
        if request is None or request.called_directly or inside.is_own_entry(request, self.name):
            value: R = self.run(*args, **kwargs)
            return value
        token = CURRENT.set(inside.direct_request(self.name))
        try:
            inner: R = self.run(*args, **kwargs)
            return inner
        finally:
            CURRENT.reset(token)

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> Result[R]:
        """Send it; returns when the broker has it."""
        return self.send(args, kwargs, NO_OPTIONS)

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> Result[R]:
        return await self.asend(args, kwargs, NO_OPTIONS)

    def apply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> Result[R]:
        """Send it with options (`countdown=10, queue="x"` ...)."""
        if options:
            calls.check(options)
        return self.send(calls.positional(args), calls.named(kwargs), options)

    async def aapply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> Result[R]:
        if options:
            calls.check(options)
        return await self.asend(calls.positional(args), calls.named(kwargs), options)

    def options(self, **options: Unpack[CallOptions]) -> BoundTask[P, R]:
        """The same task with call options laid down: `add.options(queue="x", countdown=10).delay(1, 2)`."""
        return BoundTask(self, options)

    def apply(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        throw: bool | None = None,
        **options: Unpack[CallOptions],
    ) -> EagerResult[R]:
        """Run it here and now, with arguments and result serialised as a broker would."""
        calls.check(options)
        return apply(self, calls.positional(args), calls.named(kwargs), options, throw)

    async def aapply(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        throw: bool | None = None,
        **options: Unpack[CallOptions],
    ) -> EagerResult[R]:
        """As `apply`, inside a running loop."""
        calls.check(options)
        return await aapply(self, calls.positional(args), calls.named(kwargs), options, throw)

    def send(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Result[Any]:
        """Send a call whose options are checked."""
        if self._check is not None and (kwargs or len(args) not in self._counts):
            self._check(args, kwargs)
        sender = self._sender
        if sender is None or sender.settings is not (sender.conf.current or sender.conf.settings):
            sender = self._sender = Sender(self.app, self.name)
        if sender.plain and not options and CURRENT.get() is None and not is_heard():
            return sender.send_plain(args, kwargs)
        client, definition = sender.client, sender.definition
        if client.options.always_eager:
            return cast(Result[Any], apply(self, args, kwargs, options, None))
        return sending.send(client, self.name, args, kwargs, options, definition)

    async def asend(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Result[Any]:
        self.check(args, kwargs)
        sender = sender_of(self)
        if sender.plain and not options and CURRENT.get() is None and not is_heard():
            return await sender.asend_plain(args, kwargs)
        client, definition = sender.client, sender.definition
        if client.options.always_eager:
            return cast(Result[Any], await aapply(self, args, kwargs, options, None))
        return await sending.asend(client, self.name, args, kwargs, options, definition)

    def message(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Message:
        """Compose a call without sending it."""
        self.check(args, kwargs)
        client, definition = self.app.to_send(self.name)
        return client.compose(self.name, args, kwargs, options, definition)

    # Signatures.

    def s(self, *args: Any, **kwargs: Any) -> Signature[R]:
        """A signature; its arguments may be a part only: a predecessor's value goes in front of them."""
        return Signature.of(self._app, self.name, args, kwargs, {})

    def si(self, *args: P.args, **kwargs: P.kwargs) -> Signature[R]:
        """An immutable signature: it takes no result of a predecessor."""
        made: Signature[R] = Signature.of(self._app, self.name, args, kwargs, {})
        made["immutable"] = True
        return made

    def signature(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        immutable: bool = False,
        **options: Any,
    ) -> Signature[R]:
        """A signature with options; under Celery's name."""
        return Signature(self.name, args, kwargs, options, immutable=immutable, app=self._app)

    subtask = signature

    chunks = chunks_of
    map = map_of
    starmap = starmap_of

    # Inside a run.

    @property
    def request(self) -> Request:
        """The running call; outside of a run one that says `called_directly`."""
        return CURRENT.get() or inside.direct_request(self.name)

    def retry(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: Seconds | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """Ask for another try and leave the run; past the limit raise `MaxRetriesExceededError` caused by `exc`.

        Celery's signature. `raise self.retry(...)` reads well and does the same.
        """
        calls.check(options)
        request = self.request
        inside.raise_unless_running(request, exc)
        inside.check_retries(request, exc, self.max_retries if max_retries is None else max_retries)
        delay = inside.retry_delay(self.app.client, eta, countdown, self.default_retry_delay)
        signal = inside.retry_signal(request, exc, delay, (args, kwargs), options)
        if throw:
            raise signal
        request.pending_retry = signal
        return signal

    replace = replacing.replace
    add_to_chord, aadd_to_chord = adding.add_to_chord, adding.aadd_to_chord
    update_state, aupdate_state = inside.update_state, inside.aupdate_state

    def AsyncResult(self, task_id: str, **kwargs: Any) -> Result[R]:  # noqa: N802 - Celery's name
        """The result of an earlier call of this task."""
        return Result(task_id, task_name=self.name, app=self.app, **kwargs)

    def __repr__(self) -> str:
        return f"<@task: {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _task_named, (self.name,)


_OPTIONS = frozenset(Declared.__annotations__)


def _task_named(name: str) -> Any:
    return default_app().tasks[name]


if TYPE_CHECKING:

    class CoroutineTask(Task[P, R]):
        """A task of an `async def`: a direct call gives a coroutine, a result gives what it returns."""

        def __call__(  # type: ignore[override] # the one place where the two kinds differ
            self, *args: P.args, **kwargs: P.kwargs
        ) -> Coroutine[Any, Any, R]: ...

else:
    CoroutineTask = Task
