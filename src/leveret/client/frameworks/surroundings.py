"""What the framework that an app lives in wants done; filled in by `leveret.contrib`, empty for an app without one."""

from collections.abc import Callable
from typing import Any

from leveret.errors import ImproperlyConfigured
from leveret.ports.surrounding import Surrounding

Commit = Callable[[Callable[[], Any]], Any]
"""Takes what is to be called when the present transaction is committed; without one it calls it at once."""


class Surroundings:
    """Written while modules are imported, read when a process begins to run tasks."""

    def __init__(self) -> None:
        self.around: list[Surrounding] = []
        """Holds around every run, also one in its caller's own process (`apply`, tests). The first is the outermost."""
        self.in_workers: list[Surrounding] = []
        """Holds around every run in a worker process, inside of the others."""
        self.when_imported: list[Callable[[], None]] = []
        """Called when every module that holds tasks is imported and nothing has been forked yet."""
        self._commit: Commit | None = None

    def commit_with(self, commit: Commit) -> None:
        self._commit = commit

    def on_commit(self, function: Callable[[], Any]) -> None:
        """Have `function` called when the caller's transaction is committed, and not if it is rolled back."""
        if self._commit is None:
            raise ImproperlyConfigured(
                "on_commit needs a framework that has transactions: with Django, DJANGO_SETTINGS_MODULE must be set "
                "before the app is made (see docs/how-to/use-django.md)"
            )
        self._commit(function)

    def imported(self) -> None:
        for function in self.when_imported:
            function()
