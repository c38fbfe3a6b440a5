"""What a worker process opens before its first task and closes after its last."""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

LifespanFunction = Callable[..., Any]
"""A generator function, plain or async, or one that answers a context manager; it may take the app."""


def open_lifespan(function: LifespanFunction | None, app: Any) -> AbstractAsyncContextManager[Any]:
    """The context manager a worker process lives in; what it yields is `current_task.lifespan`."""
    return _nothing() if function is None else _opened(function, app)


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield None


@asynccontextmanager
async def _opened(function: LifespanFunction, app: Any) -> AsyncIterator[Any]:
    manager = _manager(function, app)
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


def _manager(function: LifespanFunction, app: Any) -> Any:
    arguments = (app,) if inspect.signature(function).parameters else ()
    if inspect.isasyncgenfunction(function):
        return asynccontextmanager(function)(*arguments)
    if inspect.isgeneratorfunction(function):
        return contextmanager(function)(*arguments)
    return function(*arguments)
