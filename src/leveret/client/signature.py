"""A task with arguments, not yet sent: a dict under Celery's keys, so that it travels as one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar, Unpack

from leveret.client import options as calls
from leveret.client import sending
from leveret.client.callbacks import Callbacks
from leveret.client.current import App, default_app
from leveret.client.options import CallOptions
from leveret.client.result import AsyncResult
from leveret.errors import NotRegistered
from leveret.model.message import Message

T = TypeVar("T")


class Signature(Callbacks, Generic[T]):
    """One call that can be kept, changed, sent and hung behind another (`link=`).

    Arguments given when it is sent go before its own, unless it is immutable (`.si`).
    """

    kinds: ClassVar[dict[str, "type[Signature[Any]]"]] = {}
    """`subtask_type` -> class; filled once by the class definitions, read by `from_dict`."""

    _app: App | None

    def __init__(
        self,
        task: Any = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        type: Any = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        app: App | None = None,
        **more: Any,
    ) -> None:
        """Take a task, its name, or a signature as a dict. Celery's signature."""
        self._app = app if app is not None else getattr(task, "_app", None)
        if isinstance(task, Mapping):
            super().__init__(task)
            return
        chosen = {**(options or {}), **more}
        calls.check(chosen)
        super().__init__(
            task=task if isinstance(task, str) or task is None else task.name,
            args=calls.positional(args),
            kwargs=dict(calls.named(kwargs)),
            options=chosen,
            subtask_type=subtask_type,
            immutable=immutable,
        )

    @classmethod
    def of(
        cls, app: App | None, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]
    ) -> Self:
        """Make one of parts that are checked already (`task.s`)."""
        self = cls.__new__(cls)
        self._app = app
        self["task"], self["args"], self["kwargs"], self["options"] = name, args, kwargs, options
        self["subtask_type"], self["immutable"] = None, False
        return self

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], app: App | None = None) -> "Signature[Any]":
        """Read a signature of any kind from its dict."""
        kind = data.get("subtask_type")
        chosen = cls.kinds.get(kind, Signature) if kind else Signature
        if chosen is not Signature and chosen is not cls:
            return chosen.from_dict(data, app=app)
        return Signature(data, app=app)

    @classmethod
    def register_type(cls, name: str | None = None) -> Callable[["type[Signature[Any]]"], "type[Signature[Any]]"]:
        """Name the class that a `subtask_type` is read as."""

        def register(subclass: "type[Signature[Any]]") -> "type[Signature[Any]]":
            cls.kinds[name or subclass.__name__] = subclass
            return subclass

        return register

    # What it says.

    @property
    def task(self) -> str:
        return str(self["task"])

    @property
    def name(self) -> str:
        return str(self["task"])

    @property
    def args(self) -> tuple[Any, ...]:
        return tuple(self.get("args") or ())

    @property
    def kwargs(self) -> dict[str, Any]:
        return dict(self.get("kwargs") or {})

    @property
    def subtask_type(self) -> str | None:
        return self.get("subtask_type")

    @property
    def immutable(self) -> bool:
        return bool(self.get("immutable"))

    @property
    def id(self) -> str | None:
        return self.options.get("task_id")

    @property
    def app(self) -> App:
        return self._app if self._app is not None else default_app()

    @property
    def type(self) -> Any:
        """The `Task` it calls."""
        return self.app.tasks[self["task"]]

    # Changing it: each answers a new one, except those Celery defines as changing in place (`set`, `link`).

    def clone(self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Self:
        """A copy with arguments put in front and options laid over."""
        copy = self.__class__.__new__(self.__class__)
        copy._app = self._app
        merged_args, merged_kwargs, merged_options = self._merged(tuple(args), kwargs or {}, options)
        copy.update(self)
        copy.update(args=merged_args, kwargs=merged_kwargs, options=dict(merged_options))
        return copy

    partial = clone

    def set(self, immutable: bool | None = None, **options: Unpack[CallOptions]) -> Self:
        """Lay options over its own; `immutable` decides whether it takes a predecessor's result."""
        calls.check(options)
        if immutable is not None:
            self["immutable"] = immutable
        self.options.update(options)
        return self

    def read(self, written: Any) -> "Signature[Any]":
        """Read a signature that is kept in this one."""
        return written if isinstance(written, Signature) else Signature.from_dict(written, app=self._app)

    def replace(
        self, args: Any = None, kwargs: Any = None, options: Mapping[str, Any] | None = None
    ) -> "Signature[Any]":
        """A copy with other arguments or options in the place of its own."""
        copy = self.clone()
        given = {"args": args, "kwargs": kwargs, "options": options}
        copy.update({name: value for name, value in given.items() if value is not None})
        return copy

    def freeze(self, _id: str | None = None, **ignored: Any) -> AsyncResult[T]:
        """Give it its id now; answers the result it will have."""
        given = self.options.get("task_id") or _id or self.app.client.clock.new_id()
        self.options["task_id"] = given
        return AsyncResult(given, task_name=self.task, app=self.app)

    # Sending it.

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult[T]:
        return self.apply_async(args, kwargs)

    def apply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AsyncResult[T]:
        """Send it; options given here win over its own."""
        calls.check(options)
        merged = self._merged(calls.positional(args), calls.named(kwargs), options)
        task = self._registered()
        if task is not None:
            sent: AsyncResult[T] = task.send(*merged)
            return sent
        return sending.send(self.app.client, self["task"], *merged, None)

    async def adelay(self, *args: Any, **kwargs: Any) -> AsyncResult[T]:
        return await self.aapply_async(args, kwargs)

    async def aapply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AsyncResult[T]:
        """As `apply_async`, on the running loop's connection."""
        calls.check(options)
        merged = self._merged(calls.positional(args), calls.named(kwargs), options)
        task = self._registered()
        if task is not None:
            sent: AsyncResult[T] = await task.asend(*merged)
            return sent
        return await sending.asend(self.app.client, self["task"], *merged, None)

    def apply(self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Run it here and now; answers an `EagerResult`."""
        throw = options.pop("throw", None)
        calls.check(options)
        merged_args, merged_kwargs, merged = self._merged(calls.positional(args), calls.named(kwargs), options)
        return self.type.apply(merged_args, merged_kwargs, throw=throw, **merged)

    def __call__(self, *args: Any, **kwargs: Any) -> T:
        """Call the function, in this process, as a function."""
        merged_args, merged_kwargs, _ = self._merged(args, kwargs, {})
        value: T = self.type(*merged_args, **merged_kwargs)
        return value

    def message(self) -> Message:
        """Compose its message without sending it (`send_many`)."""
        task = self._registered()
        args, kwargs, options = self["args"], self["kwargs"], self["options"]
        if task is not None:
            composed: Message = task.message(tuple(args), kwargs, options)
            return composed
        return self.app.client.compose(self["task"], tuple(args), kwargs, options, None)

    def _registered(self) -> Any:
        try:
            return self.app.tasks[self["task"]]
        except NotRegistered:
            return None

    def _merged(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], Mapping[str, Any]]:
        own = self.get("options") or {}
        merged = {**own, **options} if options else own
        if "stamped_headers" in own:
            # Celery's rule: what is stamped stays so, whatever the sending says.
            merged = {
                **merged,
                **{name: own[name] for name in ("stamped_headers", *own["stamped_headers"]) if name in own},
            }
        if self.get("immutable"):
            return tuple(self["args"]), self["kwargs"], merged
        own_args, own_kwargs = tuple(self["args"]), self["kwargs"]
        return (*args, *own_args), {**own_kwargs, **kwargs} if kwargs else own_kwargs, merged

    def __invert__(self) -> Any:
        """`~signature`: send it and wait for the value."""
        return self.apply_async().get()

    def __ior__(self, other: Any) -> Any:
        return self.__or__(other)

    def __or__(self, other: Any) -> Any:
        """`a | b`: a chain."""
        if not isinstance(other, Signature):
            return NotImplemented
        made = self.kinds["chain"](self, other)
        made._app = self._app
        return made

    def reprcall(self, *args: Any, **kwargs: Any) -> str:
        """How the call reads, with these arguments in front of its own."""
        merged_args, merged_kwargs, _ = self._merged(args, kwargs, {})
        shown = [*map(repr, merged_args), *(f"{key}={value!r}" for key, value in merged_kwargs.items())]
        return f"{self['task']}({', '.join(shown)})"

    def __repr__(self) -> str:
        return self.reprcall()

    def __reduce__(self) -> tuple[Any, ...]:
        return _read, (dict(self),)


def _read(data: dict[str, Any]) -> Signature[Any]:
    return Signature.from_dict(data)


def signature(
    task: Any,
    args: Iterable[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    app: App | None = None,
    **more: Any,
) -> Signature[Any]:
    """Make a signature of a task, a task's name (`signature("tasks.add", args=(2, 2))`) or a signature's dict."""
    if isinstance(task, Signature):
        return task.clone()
    if isinstance(task, Mapping):
        return Signature.from_dict(task, app=app)
    return Signature(task, args, kwargs, options, app=app, **more)


def maybe_signature(value: Any, app: App | None = None, clone: bool = False) -> Signature[Any] | None:
    """Read a signature from its dict; None stays None."""
    if value is None:
        return None
    if isinstance(value, Signature):
        return value.clone() if clone else value
    return Signature.from_dict(value, app=app)


def map_of(task: Any, it: Iterable[Any]) -> Signature[Any]:
    """`[task(x) for x in it]` in one run, as a value (`task.map`)."""
    return _many("xmap", task, it)


def starmap_of(task: Any, it: Iterable[Any]) -> Signature[Any]:
    """`[task(*x) for x in it]` in one run, as a value (`task.starmap`)."""
    return _many("xstarmap", task, it)


def chunks_of(task: Any, it: Iterable[Any], n: int) -> Signature[Any]:
    """The calls of `it` in portions of `n`, as a value (`task.chunks`)."""
    return _many("chunks", task, it, n)


def _many(kind: str, task: Any, *facts: Any) -> Signature[Any]:
    # By its name: the classes of compositions are made of this one.
    make: Any = Signature.kinds[kind]
    made: Signature[Any] = make(task.s(), *facts, app=task.app)
    return made
