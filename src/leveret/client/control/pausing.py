"""The half of `app.control` that pauses queues and task types, for the whole cluster and until they are resumed."""

import time
from collections.abc import Callable, Collection
from difflib import get_close_matches
from typing import Any

from leveret.client.control.author import author
from leveret.client.control.terms import App, Sender, Steering, names_of
from leveret.errors import NotRegistered, QueueNotFound
from leveret.ports.limiting.pauses import Pause

Names = str | Collection[str] | None
QUEUE, TASK = "queue", "task"


class OfPauses(Sender):
    _app: App
    _connect: Callable[[Any], Steering]

    async def apause(self, queue: Names = None, task: Any = None, by: str = "") -> None:
        queues, tasks = _wanted(queue, task)
        steering = self._connect(self._app.conf.settings)
        async with steering.pauses() as pauses:
            await _check(steering, self._app, queues, tasks)
            since, who = time.time(), by or author()
            made = [Pause(kind=QUEUE, name=name, since=since, by=who) for name in queues]
            made += [Pause(kind=TASK, name=name, since=since, by=who) for name in tasks]
            await pauses.pause(tuple(made))

    def pause(self, queue: Names = None, task: Any = None, by: str = "") -> None:
        """Have no node claim from these queues, or begin these tasks (each a name or several; tasks
        themselves too), until `resume`.

        It is remembered in the state store: nodes that start later obey too. What runs already runs on. `by` says who
        asked and why, else user and host. Raises `QueueNotFound` and `NotRegistered` for names that nobody knows, and
        `ImproperlyConfigured` where no store remembers it.
        """
        return self._now(self.apause(queue, task, by), "apause")

    async def aresume(self, queue: Names = None, task: Any = None) -> tuple[str, ...]:
        queues, tasks = _wanted(queue, task)
        async with self._connect(self._app.conf.settings).pauses() as pauses:
            return (*await pauses.resume(QUEUE, queues), *await pauses.resume(TASK, tasks))

    def resume(self, queue: Names = None, task: Any = None) -> tuple[str, ...]:
        """Let them go on; answers the names of those that were paused."""
        return self._now(self.aresume(queue, task), "aresume")

    async def apaused(self) -> tuple[Pause, ...]:
        async with self._connect(self._app.conf.settings).pauses() as pauses:
            return await pauses.all()

    def paused(self) -> tuple[Pause, ...]:
        """What is paused: each with `kind` ("queue" or "task"), `name`, `since` (unix time) and `by`."""
        return self._now(self.apaused(), "apaused")


def _wanted(queue: Names, task: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    queues = tuple(names_of(queue)) if queue else ()
    given = [task] if isinstance(task, str) or hasattr(task, "delay") else task or ()
    tasks = tuple(str(getattr(one, "name", one)) for one in given)
    if not queues and not tasks:
        raise ValueError('say what: queue="mail" or task="app.tasks.send"')
    return queues, tasks


async def _check(steering: Steering, app: App, queues: tuple[str, ...], tasks: tuple[str, ...]) -> None:
    """A slip of the pen would pause nothing, and nobody would know."""
    own = tuple(app.tasks)
    known = await steering.known()
    routed = {definition.queue for name in own if (definition := app.tasks.find(name)) is not None}
    for name in queues:
        if name not in known.queues and name not in routed:
            raise QueueNotFound(f"no queue {name!r}{_near(name, {*known.queues, *filter(None, routed)})}")
    for name in tasks:
        if name not in known.tasks and name not in own:
            raise NotRegistered(f"no task {name!r}{_near(name, {*known.tasks, *own})}")


def _near(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else f"; there are: {', '.join(sorted(known)) or 'none'}"
