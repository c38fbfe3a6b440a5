"""`app.schedules`: the schedule in the store, from Python; each verb for callers' threads and for their loops."""

import asyncio
import builtins
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import PurePath
from typing import Any, Protocol, TypeVar

from leveret.client.client import Client
from leveret.client.loops import running_loop
from leveret.client.registry import TaskRegistry
from leveret.client.result import AsyncResult
from leveret.client.schedules.declared import Declarations
from leveret.errors import ImproperlyConfigured, NoSuchEntry
from leveret.logic.schedules import ticks
from leveret.model.schedules.entry import RUNS_KEPT, Entry, Fire, Report, Standing
from leveret.model.schedules.timing import Clocked
from leveret.ports.schedule import ScheduleStore

T = TypeVar("T")
OpenStore = Callable[[Any], AbstractAsyncContextManager[ScheduleStore]]
"""Opens the schedule's store under these settings; it is closed in the end."""


class App(Protocol):
    """What the schedule needs of its app."""

    main: str | None
    file: str | None
    conf: Any
    tasks: TaskRegistry

    @property
    def client(self) -> Client: ...


class Schedules:
    """Entries of `beat_schedule`, `add_periodic_task` and `@app.task(schedule=...)` belong to the code, which brings
    them into the store when a scheduler starts: here they can be paused and run, and are changed in the code."""

    def __init__(self, app: App, open_store: OpenStore) -> None:
        self._app, self._open = app, open_store

    # What the code defines.

    @property
    def source(self) -> str:
        """Whose entries the code's are: two apps may share a store. One without a name has that of its file, which a
        deploy to another folder does not change."""
        file = self._app.file
        return f"code of {self._app.main or (PurePath(file).stem if file else 'app')}"

    def declared(self) -> tuple[Entry, ...]:
        """The entries that the code defines, ready to be fired without it."""
        found: dict[str, Mapping[str, Any]] = {}
        for name, task in self._app.tasks.items():
            if task.schedule is not None:
                found[name] = _of_task(name, task.schedule)
        found.update(self._app.conf.beat_schedule)
        make = self._declarations() if found else None
        return tuple(make.entry(name, given, self.source) for name, given in found.items() if make is not None)

    def _declarations(self) -> Declarations:
        settings = self._app.conf.settings
        client = self._app.client
        return Declarations(
            client,
            self._app.tasks,
            zone=_zone_name(settings),
            naive_zone=client.options.naive_zone,
            deadline=settings.beat_cron_starting_deadline,
        )

    # Looking.

    async def alist(self) -> builtins.list[Standing]:
        """Every entry in the store, by name."""
        async with self._store() as store:
            return [standing for standing in await store.look() if standing is not None]

    async def aget(self, name: str) -> Standing:
        """One entry, with its last runs."""
        async with self._store() as store:
            return await _found(store, name)

    async def anext(self, name: str, count: int = 5) -> builtins.list[datetime]:
        """When an entry is due next, on the wall clock of its zone."""
        standing = await self.aget(name)
        moments = ticks.upcoming(standing.entry, standing.cursor, self._app.client.clock.now(), count)
        return [ticks.local(moment, standing.entry.zone) for moment in moments]

    # Changing.

    async def acreate(self, name: str, schedule: Any, task: Any, **more: Any) -> Standing:
        """Make an entry. `more` is what an item of `beat_schedule` may have; an entry of that name is an error."""
        entry = self._declarations().entry(name, {"schedule": schedule, "task": task, **more})
        if isinstance(entry.timing, Clocked) and entry.timing.at <= self._app.client.clock.now():
            raise ImproperlyConfigured(f"schedule entry {name!r}: {schedule!r} is over")
        async with self._store() as store:
            if (await store.look((name,)))[0] is not None:
                raise ImproperlyConfigured(f"schedule entry {name!r} exists: change it, or choose another name")
            return _written(name, (await store.put((entry,)))[0])

    async def achange(self, name: str, **changes: Any) -> Standing:
        """Change what is given (keys of a `beat_schedule` item) and keep the rest. Takes effect within a second; a run
        is one of the old entry or of the new, never both."""
        async with self._store() as store:
            known = await _found(store, name)
            if known.entry.source:
                raise ImproperlyConfigured(_IN_CODE.format(name, known.entry.source))
            changed = self._declarations().changed(known.entry, changes)
            return _written(name, (await store.put((changed,)))[0])

    async def apause(self, *names: str) -> None:
        """Stop these entries until they are resumed; a restart does not."""
        async with self._store() as store:
            _all_there(names, await store.pause(names, True))

    async def aresume(self, *names: str) -> None:
        """Let these entries go on from now: what fell into the pause is not made up for."""
        async with self._store() as store:
            _all_there(names, await store.pause(names, False))

    async def adelete(self, *names: str, force: bool = False) -> None:
        """Forget these entries and their history. `force`: also what some code defines or once defined."""
        async with self._store() as store:
            for standing in await store.look(names):
                if standing is not None and standing.entry.source and not force:
                    raise ImproperlyConfigured(_IN_CODE.format(standing.entry.name, standing.entry.source))
            _all_there(names, await store.drop(names))

    async def arun(self, name: str) -> AsyncResult[Any]:
        """Send a run now, whatever its schedule says; its schedule does not move."""
        async with self._store() as store:
            fire = self._fire(await _found(store, name))
            await self._app.client.apublish(ticks.postings(fire, fire.moment))
            await store.report((_by_hand(fire),))
        return self._result(fire)

    # The same for the calling thread.

    def list(self) -> builtins.list[Standing]:
        return blocking(self.alist(), "await app.schedules.alist()")

    def get(self, name: str) -> Standing:
        return blocking(self.aget(name), "await app.schedules.aget(...)")

    def next(self, name: str, count: int = 5) -> builtins.list[datetime]:
        return blocking(self.anext(name, count), "await app.schedules.anext(...)")

    def create(self, name: str, schedule: Any, task: Any, **more: Any) -> Standing:
        return blocking(self.acreate(name, schedule, task, **more), "await app.schedules.acreate(...)")

    def change(self, name: str, **changes: Any) -> Standing:
        return blocking(self.achange(name, **changes), "await app.schedules.achange(...)")

    def pause(self, *names: str) -> None:
        blocking(self.apause(*names), "await app.schedules.apause(...)")

    def resume(self, *names: str) -> None:
        blocking(self.aresume(*names), "await app.schedules.aresume(...)")

    def delete(self, *names: str, force: bool = False) -> None:
        blocking(self.adelete(*names, force=force), "await app.schedules.adelete(...)")

    def run(self, name: str) -> AsyncResult[Any]:
        """As `arun`; the message goes over the calling thread's own connection."""
        client = self._app.client
        fire = self._fire(self.get(name))
        client.parts.broker.publish(ticks.postings(fire, fire.moment), timeout=client.options.publish_timeout)
        blocking(self._report(_by_hand(fire)), "await app.schedules.arun(...)")
        return self._result(fire)

    async def _report(self, told: Report) -> None:
        async with self._store() as store:
            await store.report((told,))

    def _store(self) -> AbstractAsyncContextManager[ScheduleStore]:
        return self._open(self._app.conf.settings)

    def _fire(self, standing: Standing) -> Fire:
        clock = self._app.client.clock
        return Fire(entry=standing.entry, revision=standing.revision, moment=clock.now(), id=clock.new_id())

    def _result(self, fire: Fire) -> AsyncResult[Any]:
        return AsyncResult(fire.id, task_name=fire.entry.task, app=self._app)


_IN_CODE = "schedule entry {!r} belongs to the {}: change it there (pause, resume and run work here)"


def blocking(work: Coroutine[Any, Any, T], instead: str) -> T:
    """Do it on a loop of its own; where one runs already, say what to write instead."""
    if running_loop() is None:
        return asyncio.run(work)
    work.close()
    raise ImproperlyConfigured(f"an event loop runs in this thread: write `{instead}`")


def _of_task(name: str, value: Any) -> Mapping[str, Any]:
    """`@app.task(schedule=...)`: a schedule, or a dict as in `beat_schedule` without the task."""
    return {**value, "task": name} if isinstance(value, Mapping) else {"task": name, "schedule": value}


def _zone_name(settings: Any) -> str:
    zone: str | None = settings.timezone
    if zone is None and settings.profile == "celery" and not settings.enable_utc:
        raise ImproperlyConfigured("a schedule needs to know its zone: set timezone, as in 'Europe/Berlin'")
    return zone or "UTC"


async def _found(store: ScheduleStore, name: str) -> Standing:
    (standing,) = await store.look((name,), runs=RUNS_KEPT)
    if standing is None:
        raise NoSuchEntry(f"no schedule entry {name!r} in the store; `leveret schedule list` shows them")
    return standing


def _written(name: str, standing: Standing | None) -> Standing:
    if standing is None:
        raise ImproperlyConfigured(f"schedule entry {name!r} belongs to the code of an app: choose another name")
    return standing


def _all_there(names: tuple[str, ...], done: tuple[bool, ...]) -> None:
    missing = [name for name, was in zip(names, done, strict=True) if not was]
    if missing:
        raise NoSuchEntry(f"no schedule entry {missing[0]!r} in the store; `leveret schedule list` shows them")


def _by_hand(fire: Fire) -> Report:
    name = fire.entry.name
    return Report(name=name, revision=fire.revision, moment=fire.moment, id=fire.id, outcome="by hand")
