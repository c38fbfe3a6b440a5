"""The types of `@app.task`: `delay` and friends carry the function's own parameters, results what it returns."""

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from leveret.client.task import CoroutineTask, Task

P = ParamSpec("P")
R = TypeVar("R")


class Decorator(Protocol):
    """`@app.task(queue="x")`."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


class BindingDecorator(Protocol):
    """`@app.task(bind=True)`: the task itself comes first and is no part of a call."""

    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...

    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> Task[P, R]: ...
