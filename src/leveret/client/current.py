"""The default app. Only `shared_task`, `AsyncResult(id)`, `signature()` and `current_app` ask for it."""

from collections.abc import Callable
from typing import Any, Protocol

from leveret.client.client import Client
from leveret.errors import ImproperlyConfigured
from leveret.model.request import CURRENT
from leveret.model.task import TaskDefinition


class App(Protocol):
    """What a task, a signature or a result needs of the app it belongs to."""

    @property
    def conf(self) -> Any:
        """`Configuration`."""
        ...

    @property
    def client(self) -> Client: ...

    @property
    def tasks(self) -> Any:
        """Name -> `Task`."""
        ...

    def definition(self, name: str) -> TaskDefinition | None:
        """The task's options under the present settings; None for a task nobody registered here."""
        ...

    def to_send(self, name: str) -> tuple[Client, TaskDefinition | None]:
        """Client and definition for one call, under one look at the settings."""
        ...


class _Holder:
    """Process-wide, written by whoever makes an app last (the main thread, at import)."""

    app: App | None = None
    shared: list[Callable[[Any], Any]] = []
    """What `shared_task` declared: each is called with every app that finalizes."""


def set_default(app: App | None) -> None:
    _Holder.app = app


def peek() -> App | None:
    """The default app, if there is one."""
    return _Holder.app


def default_app() -> App:
    """The app made last; raises when the program has none."""
    if _Holder.app is None:
        raise ImproperlyConfigured(
            "there is no app yet: import the module that makes Leveret(...) first, or pass app= explicitly"
        )
    return _Holder.app


def share(bind: Callable[[Any], Any]) -> None:
    """Have `bind` called with every app that finalizes from now on, and with the default app where it has already."""
    _Holder.shared.append(bind)
    if _Holder.app is not None:
        bind(_Holder.app)


def shared() -> tuple[Callable[[Any], Any], ...]:
    return tuple(_Holder.shared)


def restore(shared_before: tuple[Callable[[Any], Any], ...]) -> None:
    """Forget what was shared since (tests)."""
    _Holder.shared[:] = shared_before


class CurrentApp:
    """Stands for the default app, whichever it is when an attribute is read."""

    def __getattr__(self, name: str) -> Any:
        return getattr(default_app(), name)

    def __repr__(self) -> str:
        return f"<current_app: {_Holder.app!r}>"


class CurrentTask:
    """Stands for the task that runs in this context; false outside of one."""

    def __bool__(self) -> bool:
        return CURRENT.get() is not None

    @property
    def request(self) -> Any:
        return CURRENT.get()

    @property
    def lifespan(self) -> Any:
        """What `@app.lifespan` yielded in this process."""
        request = CURRENT.get()
        return None if request is None else request.lifespan

    def __getattr__(self, name: str) -> Any:
        request = CURRENT.get()
        if request is None:
            raise AttributeError(f"no task is running here, so current_task has no {name!r}")
        return getattr(default_app().tasks[request.task], name)

    def __repr__(self) -> str:
        request = CURRENT.get()
        return "<current_task: none>" if request is None else f"<current_task: {request.task}[{request.id}]>"


current_app: Any = CurrentApp()
current_task: Any = CurrentTask()
