"""What users may put around their tasks, and beside them."""

from collections.abc import Awaitable, Callable
from typing import Any

from leveret.model.request import Request


class Middleware:
    """Around each run, on the thread (or loop) that runs it. What is raised instead of calling is the run's outcome, as
    if the task had raised it; what is returned is its result."""

    def around_run(self, request: Request, call: Callable[[], Any]) -> Any:
        """Of plain tasks."""
        return call()

    async def around_run_async(self, request: Request, call: Callable[[], Awaitable[Any]]) -> Any:
        """Of coroutine functions, on the loop for user code."""
        return await call()


class WorkerPart:
    """Something that lives beside the tasks of a worker process, as Celery's bootsteps do. Methods are called in this
    order, once each."""

    def start(self) -> None:
        """On the main thread, before the app's lifespan and the first claim. What it raises ends the process."""

    def quiet(self) -> None:
        """The process claims nothing more; what runs goes on. On a thread of its own."""

    def stop(self) -> None:
        """On the main thread, after the last settlement and the app's lifespan."""
