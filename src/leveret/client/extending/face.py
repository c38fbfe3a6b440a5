"""The half of an app that is extended: middleware around its runs, parts beside them."""

from functools import cached_property
from typing import TypeVar

from leveret.ports.middleware import Middleware, WorkerPart

MiddlewareT = TypeVar("MiddlewareT", bound=type[Middleware])
PartT = TypeVar("PartT", bound=type[WorkerPart])


class Extended:
    """A base of the app. Both lists are read when a worker process starts."""

    @cached_property
    def middleware(self) -> list[Middleware]:
        """The first is outermost."""
        return []

    @cached_property
    def worker_parts(self) -> list[WorkerPart]:
        """Started in this order, stopped in the other."""
        return []

    def add_middleware(self, kind: MiddlewareT) -> MiddlewareT:
        """A decorator: an instance of the class is put around every run, inside those before it."""
        self.middleware.append(kind())
        return kind

    def add_worker_part(self, kind: PartT) -> PartT:
        """A decorator: an instance of the class lives in each worker process."""
        self.worker_parts.append(kind())
        return kind
