"""Django: done for every app that is made while `DJANGO_SETTINGS_MODULE` is set, so a project has nothing to install.

Tasks find Django set up, database connections that work, and `task.delay_on_commit()`. docs/how-to/use-django.md
"""

import logging
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from leveret.client.task import Task
from leveret.errors import LeveretWarning
from leveret.model.request import Request

if TYPE_CHECKING:
    from leveret.app import Leveret

__all__ = ["Django", "DjangoTask", "adapt"]

DjangoTask = Task
"""Celery's name for the base of a Django project's tasks: here every task has `delay_on_commit`."""


def adapt(app: "Leveret") -> None:
    """Make an app a Django project's. Called by the app itself; nothing of Django is imported before it is needed."""
    if find_spec("django") is None:
        warnings.warn(
            "DJANGO_SETTINGS_MODULE is set, but Django is not installed: nothing is done for it",
            LeveretWarning,
            stacklevel=4,
        )
        return
    app.on_configure.connect(_set_up)
    app.surroundings.commit_with(_on_commit)
    app.surroundings.in_workers.append(Django())
    app.surroundings.when_imported.append(close_everything)


class Django:
    """What holds around each run in a worker: no connection is used that the database has closed meanwhile, none is
    kept for longer than `CONN_MAX_AGE` says, and what the run wrote down for debugging is forgotten."""

    def __init__(self) -> None:
        self._insisted = False

    def around(self, request: Request) -> AbstractContextManager[None]:
        self._insist()
        return _fresh_connections()

    def around_async(self, request: Request) -> AbstractAsyncContextManager[None]:
        self._insist()
        return _own_thread()

    def _insist(self) -> None:
        if not self._insisted:
            insist_on_health_checks()
            self._insisted = True


@contextmanager
def _fresh_connections() -> Iterator[None]:
    begin()
    try:
        yield
    finally:
        end()


@asynccontextmanager
async def _own_thread() -> AsyncIterator[None]:
    """As Django does for a request under ASGI: what a coroutine asks of the ORM is done on one thread of its own, so
    that neighbours share no connection; what is open there in the end is closed with it."""
    from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async

    async with ThreadSensitiveContext() as context:
        try:
            yield
        finally:
            # A coroutine that never asked has no such thread, and need not get one now.
            if context in getattr(SyncToAsync, "context_to_thread_executor", (context,)):
                await sync_to_async(_close_all, thread_sensitive=True)()


def insist_on_health_checks() -> None:
    """Have every connection that is kept, or comes from a pool, looked at before its first use in a run.

    Without `CONN_HEALTH_CHECKS` the first query after a restart of the database fails. A request that fails is sent
    again by who wants it; a task would be a failure. It costs such a run one round trip.
    """
    from django.db import connections

    for settings in connections.settings.values():
        settings["CONN_HEALTH_CHECKS"] = True


def begin() -> None:
    """Before a run: close what is too old or broken."""
    from django.db import close_old_connections, reset_queries

    reset_queries()
    close_old_connections()


def end() -> None:
    """After a run: give back what must not be kept."""
    from django.core.cache import close_caches
    from django.db import close_old_connections

    close_old_connections()
    close_caches()


def close_everything() -> None:
    """Before a process forks: nobody must share a connection, or a thread of a pool, with what it forks."""
    from django.core.cache import close_caches
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        if connection.in_atomic_block:
            continue  # a test case's: whoever imports tasks in one does not fork
        connection.close()
        close_pool: Callable[[], None] | None = getattr(connection, "close_pool", None)
        if close_pool is not None and connection.settings_dict.get("OPTIONS", {}).get("pool"):
            close_pool()
    close_caches()


def _close_all() -> None:
    from django.db import connections

    connections.close_all()


def _set_up(sender: Any) -> None:
    """Before the modules with tasks are imported: they import models."""
    import django
    from django.apps import apps

    if apps.ready:
        return
    django.setup()
    # `LOGGING` turns off every logger it does not know, by default: a worker that says nothing helps nobody.
    for name, logger in logging.root.manager.loggerDict.items():
        if name.partition(".")[0] == "leveret" and isinstance(logger, logging.Logger):
            logger.disabled = False


def _on_commit(function: Callable[[], Any]) -> None:
    from django.db import transaction

    transaction.on_commit(function)
