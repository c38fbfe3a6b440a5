"""Tasks that every app has, most under Celery's names; made when one of them is first asked for."""

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from leveret.client.current import App
from leveret.client.signature import Signature
from leveret.client.tasks.replacing import replace
from leveret.logic.canvas.plan import ACCUMULATE, BEGIN
from leveret.logic.canvas.signatures import MAP, STARMAP


def make_builtin(name: str, app: App, make: Callable[..., Any]) -> Any:
    """The task of that name for `app`, None where there is none. `make` is `Task.of_function`."""
    function = _FUNCTIONS.get(name)
    if function is None:
        return None
    task = make(function(app), name, {"typing": False}, bind=name == BEGIN)
    task.attach(app)
    return task


def _map(app: App) -> Callable[..., Any]:
    def map_(task: Mapping[str, Any], it: Iterable[Any]) -> list[Any]:
        """Call the task with each argument."""
        call = Signature.from_dict(task, app=app)
        return _values(call, [(argument,) for argument in it])

    return map_


def _starmap(app: App) -> Callable[..., Any]:
    def starmap(task: Mapping[str, Any], it: Iterable[Any]) -> list[Any]:
        """Call the task with each list of arguments."""
        return _values(Signature.from_dict(task, app=app), [tuple(arguments) for arguments in it])

    return starmap


def _accumulate(app: App) -> Callable[..., Any]:
    def accumulate(*args: Any, index: int | None = None) -> Any:
        """Answer its arguments, or the one at `index`: what gathers the values of a group."""
        return args if index is None else args[index]

    return accumulate


def _begin(app: App) -> Callable[..., Any]:
    def begin(self: Any, call: Mapping[str, Any]) -> Any:
        """Have a composition run in its place, whose ids are then computed from its own."""
        return replace(self, Signature.from_dict(call, app=app))

    return begin


_FUNCTIONS: Mapping[str, Callable[[App], Callable[..., Any]]] = {
    MAP: _map,
    STARMAP: _starmap,
    ACCUMULATE: _accumulate,
    BEGIN: _begin,
}


def _values(call: Signature[Any], calls: list[tuple[Any, ...]]) -> list[Any]:
    run = call.type.run
    if not inspect.iscoroutinefunction(run):
        return [call(*arguments) for arguments in calls]
    import asyncio  # a coroutine is to be run; declaring tasks must not load it

    return asyncio.run(_all(call, calls))


async def _all(call: Signature[Any], calls: list[tuple[Any, ...]]) -> list[Any]:
    return [await _awaited(call(*arguments)) for arguments in calls]


def _awaited(value: Any) -> Coroutine[Any, Any, Any]:
    made: Coroutine[Any, Any, Any] = value
    return made
