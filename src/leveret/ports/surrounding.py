"""What must hold around every run of a task: a framework's context, database connections that are fit for use."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

from leveret.model.request import Request


class Surrounding(Protocol):
    """Entered before the task's `before_start` and left after its last hook, with the exception that ended the run if
    there was one. When entering raises, the run has failed with that error; what leaving raises changes nothing."""

    def around(self, request: Request) -> AbstractContextManager[Any]:
        """For a plain function, on the thread that runs it."""
        ...

    def around_async(self, request: Request) -> AbstractAsyncContextManager[Any]:
        """For a coroutine, on the loop and in the context that run it."""
        ...
