"""The tasks of one app by name, and their definitions under the settings as they are now."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from leveret.client.tasks.definition import TaskDefaults, define
from leveret.errors import NotRegistered
from leveret.model.task import TaskDefinition


class TaskRegistry(Mapping[str, Any]):
    """`app.tasks`: name -> `Task`. It is also the worker's `model.task.Registry`: `find` answers definitions.

    Written while modules are imported; definitions are made when first asked for, and made anew after a change of
    the settings.
    """

    def __init__(
        self,
        settings: Callable[[], TaskDefaults],
        complete: Callable[[], None],
        builtin: Callable[[str], Any] = lambda name: None,
    ) -> None:
        """`complete` is called before the first look: it adds what other modules share with every app. `builtin` makes
        what every app has; it is not among the names."""
        self._settings = settings
        self._complete = complete
        self._builtin = builtin
        self._builtins: dict[str, Any] = {}
        self._tasks: dict[str, Any] = {}
        self._definitions: dict[str, TaskDefinition] = {}
        self._made_under: TaskDefaults | None = None

    def register(self, task: Any) -> None:
        self._tasks[task.name] = task
        self._definitions.pop(task.name, None)

    def changed(self, name: str) -> None:
        """An attribute of the task was set: its definition is made anew."""
        self._definitions.pop(name, None)

    def find(self, name: str) -> TaskDefinition | None:
        """The definition of a task under the present settings, or None."""
        return self.find_under(self._settings(), name)

    def find_under(self, settings: TaskDefaults, name: str) -> TaskDefinition | None:
        """As `find`, for who has looked at the settings already (a look costs 2 us)."""
        if settings is not self._made_under:
            self._definitions, self._made_under = {}, settings
        found = self._definitions.get(name)
        if found is not None:
            return found
        task = self._tasks.get(name)
        if task is None:
            self._complete()
            task = self._tasks.get(name) or self._built_in(name)
            if task is None:
                return None
        made = self._definitions[name] = define(task, settings)
        return made

    def known(self, name: str) -> bool:
        """Whether `name` is registered already, without completing the registry."""
        return name in self._tasks

    def peek(self, name: str) -> Any:
        return self._tasks.get(name)

    def __getitem__(self, name: str) -> Any:
        task = self._tasks.get(name)
        if task is None:
            self._complete()
            task = self._tasks.get(name) or self._built_in(name)
            if task is None:
                raise NotRegistered(self._unknown(name))
        return task

    def __iter__(self) -> Iterator[str]:
        self._complete()
        return iter(tuple(self._tasks))

    def __len__(self) -> int:
        self._complete()
        return len(self._tasks)

    def __contains__(self, name: object) -> bool:
        self._complete()
        return name in self._tasks

    def _built_in(self, name: str) -> Any:
        if not name.startswith(("celery.", "leveret.")):
            return None
        if name not in self._builtins:
            self._builtins[name] = self._builtin(name)
        return self._builtins[name]

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._tasks, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        return f"no task named {name!r} is registered{hint}"
