"""`add.options(queue="x").delay(1, 2)`: the same task with options of its own, the same types."""

from collections.abc import Iterable, Mapping
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, Unpack

from leveret.client import options as calls
from leveret.client.options import CallOptions
from leveret.client.result import AsyncResult
from leveret.client.signature import Signature

P = ParamSpec("P")
R = TypeVar("R")


class Sendable(Protocol):
    """What a bound task needs of its task."""

    @property
    def name(self) -> str: ...

    def send(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> AsyncResult[Any]: ...

    async def asend(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> AsyncResult[Any]: ...

    def signature(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Signature[Any]: ...


class BoundTask(Generic[P, R]):
    """A task with call options laid down; immutable, made by `Task.options`."""

    __slots__ = ("_options", "_task")

    def __init__(self, task: Sendable, options: Mapping[str, Any]) -> None:
        calls.check(options)
        self._task, self._options = task, options

    def options(self, **options: Unpack[CallOptions]) -> "BoundTask[P, R]":
        """Lay further options over these."""
        return BoundTask(self._task, {**self._options, **options})

    def delay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        return self._task.send(args, kwargs, self._options)

    async def adelay(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R]:
        return await self._task.asend(args, kwargs, self._options)

    def apply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AsyncResult[R]:
        calls.check(options)
        return self._task.send(calls.positional(args), calls.named(kwargs), {**self._options, **options})

    async def aapply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> AsyncResult[R]:
        calls.check(options)
        return await self._task.asend(calls.positional(args), calls.named(kwargs), {**self._options, **options})

    def s(self, *args: Any, **kwargs: Any) -> Signature[R]:
        return self._task.signature(args, kwargs, **self._options)

    def si(self, *args: P.args, **kwargs: P.kwargs) -> Signature[R]:
        return self._task.signature(args, kwargs, immutable=True, **self._options)

    def __repr__(self) -> str:
        return f"<@task: {self._task.name} with {dict(self._options)}>"
