"""`@shared_task`, and the types of `@app.task`: `delay` and friends carry the function's own parameters, results what
it returns."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Concatenate, Literal, ParamSpec, Protocol, TypeVar, Unpack, overload

from leveret.client import current
from leveret.client.task import CoroutineTask, Task
from leveret.client.tasks.making import TaskOptions, make_task
from leveret.model.limiting.declared import Batch

P = ParamSpec("P")
R = TypeVar("R")


class Decorator(Protocol):
    """`@app.task(queue="x")`."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


class BatchDecorator(Protocol):
    """`@app.task(batch=Batch(...))`: calls have the arguments that the function looks for in them."""

    def __call__(self, function: Callable[..., Any], /) -> Task[..., Any]: ...


class BindingDecorator(Protocol):
    """`@app.task(bind=True)`: the task itself comes first and is no part of a call."""

    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...

    @overload
    def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> Task[P, R]: ...


@overload
def shared_task(function: Callable[P, Coroutine[Any, Any, R]], /) -> CoroutineTask[P, R]: ...
@overload
def shared_task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def shared_task(*, bind: Literal[True], **options: Unpack[TaskOptions]) -> BindingDecorator: ...
@overload
def shared_task(*, bind: Literal[False] = False, **options: Unpack[TaskOptions]) -> Decorator: ...
@overload
def shared_task(*, batch: Batch, bind: bool = False, **options: Unpack[TaskOptions]) -> BatchDecorator: ...
def shared_task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of every app in the program; used where no app can be imported (a reusable Django app)."""
    if function is None:
        return lambda decorated: _share(decorated, options)
    return _share(function, options)


def _share(function: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    task = make_task(function, options, Task, None)
    task.prepare()
    current.share(lambda app: app._add(task.copy(None if options.get("base") else app.Task)))
    return task
