"""Describe an app to the supervisor; runs in the process that imports it."""

import os
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from re import Pattern
from typing import Any

import msgspec

from leveret.app import Leveret
from leveret.cli.finder import Found, open_app
from leveret.cli.node.plan import Plan, Refused, plain_settings
from leveret.config.settings import Settings
from leveret.errors import LeveretError
from leveret.model.options import WorkerOptions
from leveret.model.queue import Broadcast
from leveret.model.schedules.entry import Entry
from leveret.wiring.topology import listed_queues


def plan_of(found: Found) -> Plan:
    app, settings = found.app, found.app.conf.settings
    tasks = tuple(sorted(app.tasks))
    entries = app.schedules.declared()
    return Plan(
        app=found.path,
        name=app.main or "",
        settings=plain_settings(settings),
        tasks=tasks,
        queues=queue_names(settings.task_queues),
        broadcasts=broadcast_names(settings),
        routed=routed_queues(app, settings),
        entries=entries,
        source=app.schedules.source,
        notices=(
            *app.conf.remarks(),
            *unmatched_routes(settings.task_routes, tasks),
            *unknown_tasks(entries, tasks),
        ),
    )


def refusal(error: Exception) -> Refused:
    return Refused(str(error) if isinstance(error, LeveretError) else f"{type(error).__name__}: {error}")


def queue_names(queues: Any) -> tuple[str, ...]:
    """Names in `task_queues`: a dict by name, or an iterable of `Queue` and names."""
    if not queues:
        return ()
    if isinstance(queues, Mapping):
        return tuple(queues)
    return tuple(queue if isinstance(queue, str) else queue.name for queue in queues)


def broadcast_names(settings: Settings) -> tuple[str, ...]:
    """Those of which every node has a queue of its own."""
    return tuple(name for name, queue in listed_queues(settings).items() if isinstance(queue, Broadcast))


def routed_queues(app: Leveret, settings: Settings) -> tuple[str, ...]:
    """Every queue a task of this app goes to, as far as that is known without a call."""
    found = {queue for _, queue in _routes(settings.task_routes) if queue}
    for name in app.tasks:
        definition = app.tasks.find(name)
        if definition is not None and definition.queue:
            found.add(definition.queue)
    return tuple(sorted(found))


def unmatched_routes(routes: Any, tasks: Iterable[str]) -> tuple[str, ...]:
    """One line for each route that no task of this app takes."""
    known = tuple(tasks)
    return tuple(
        f"task_routes: {_shown(pattern)} matches no task"
        for pattern, _ in _routes(routes)
        if not any(_matches(pattern, name) for name in known)
    )


def unknown_tasks(entries: Iterable[Entry], tasks: Iterable[str]) -> tuple[str, ...]:
    """One line for each entry of the schedule whose task another app must have, or nobody has."""
    known = tuple(tasks)
    return tuple(
        f"schedule entry {entry.name!r} sends {entry.task!r}, which is no task of this app{_nearest(entry.task, known)}"
        for entry in entries
        # Every app has the built-in ones.
        if entry.task not in known and not entry.task.startswith(("celery.", "leveret."))
    )


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _routes(routes: Any) -> list[tuple[Any, str | None]]:
    """(pattern, queue) pairs of the routes that are data; callables decide at the call."""
    if not routes or callable(routes) or isinstance(routes, str):
        return []
    if isinstance(routes, Mapping):
        return [(pattern, _queue_of(target)) for pattern, target in routes.items()]
    found: list[tuple[Any, str | None]] = []
    for part in routes:
        if isinstance(part, Mapping):
            found += _routes(part)
        elif isinstance(part, tuple | list) and len(part) == 2 and isinstance(part[0], str | Pattern):
            found.append((part[0], _queue_of(part[1])))
        elif isinstance(part, tuple | list):
            found += _routes(part)
    return found


def _queue_of(target: Any) -> str | None:
    queue = target.get("queue") if isinstance(target, Mapping) else target
    if queue is None or isinstance(queue, str):
        return queue
    name = getattr(queue, "name", None)
    return name if isinstance(name, str) else None


def _matches(pattern: Any, name: str) -> bool:
    if isinstance(pattern, Pattern):
        return pattern.match(name) is not None
    return fnmatchcase(name, str(pattern))


def _shown(pattern: Any) -> str:
    return repr(pattern.pattern if isinstance(pattern, Pattern) else str(pattern))


def main() -> None:
    """Describe the app that the options on stdin name, where the supervisor cannot fork."""
    options: WorkerOptions = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerOptions)
    # What the app prints must not mix with the answer; it prints again in every child.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        answer: Plan | Refused = plan_of(open_app(options.app or None, options.settings))
    except Exception as error:
        answer = refusal(error)
    answers.write(msgspec.json.encode(answer))
    answers.flush()
    # Threads the app started must not keep us.
    os._exit(0)


if __name__ == "__main__":
    main()
