"""What a supervisor must know of an app that it never imports, told by the process that does.

That process becomes the node's forkserver where forking is possible, so that the app is imported once.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from leveret.config.settings import FIELDS, Settings
from leveret.errors import ImproperlyConfigured
from leveret.model.node import Node
from leveret.model.options import WorkerOptions
from leveret.model.schedules.entry import Entry
from leveret.supervisor.nursery import Forkserver, can_fork

ENTRY = "leveret.cli.child"
"""As in wiring.supervisor, whose import would keep the app waiting."""

TELL = "LEVERET__PLAN"
"""The descriptor on which `child.preload` tells its plan, once."""

_NEED_THE_APP = frozenset({"task_queues", "task_routes", "task_annotations", "beat_schedule"})


class Plan(Struct, frozen=True, kw_only=True, tag="plan"):
    """`settings` are those that are plain data."""

    app: str
    """`module:attribute`."""
    name: str = ""
    settings: Mapping[str, Any] = {}
    tasks: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    """Queues that `task_queues` lists."""
    broadcasts: tuple[str, ...] = ()
    """Those of them of which every node has its own."""
    routed: tuple[str, ...] = ()
    """Queues that the app's tasks go to."""
    entries: tuple[Entry, ...] = ()
    """The schedule that its code defines."""
    source: str = ""
    """Whose entries they are."""
    notices: tuple[str, ...] = ()
    """What the user should know at start, one line each."""


class Refused(Struct, frozen=True, tag="refused"):
    """The app cannot be used; one line that says why."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks of a node."""

    overrides: Mapping[str, Any]
    """Settings it names; every process of the node lays them over the app's own."""
    given: Mapping[str, Any]
    """Its other options, by name."""
    notes: Sequence[str] = ()
    color: bool = True
    banner: bool = True


class Question:
    """An app that is being imported elsewhere; `answer()` waits for its plan, once."""

    def __init__(self, read: Callable[[], bytes], forkserver: Forkserver | None = None) -> None:
        self._read = read
        self.forkserver = forkserver
        """The process that imports the app, where children can be forked from it; closing it ends it."""

    def answer(self) -> Plan:
        data = self._read()
        if not data:
            words = self.forkserver.last_words() if self.forkserver else ""
            raise ImproperlyConfigured(
                "\n".join(["the process that imports the app died before it was done", words]).strip()
            )
        answer = _plans.decode(data)
        if isinstance(answer, Refused):
            raise ImproperlyConfigured(answer.error)
        return answer


_plans: msgspec.json.Decoder[Plan | Refused] = msgspec.json.Decoder(Plan | Refused)


def ask(app: str | None, overrides: Mapping[str, Any]) -> Question:
    """Have the app imported and described; `None` is wherever `finder.wanted` finds one named.

    Call before any thread or loop exists.
    """
    draft = WorkerOptions(
        node=Node(name="", incarnation="", boot="", pid=0), app=app or "", workdir=os.getcwd(), settings=overrides
    )
    if not can_fork():
        return Question(lambda: _spawned(draft))
    reader, writer = os.pipe()
    os.environ[TELL] = str(writer)
    try:
        forkserver = Forkserver.fork(ENTRY, draft)
    finally:
        del os.environ[TELL]
        os.close(writer)
    return Question(lambda: _drained(reader), forkserver)


def ask_anew(app: str, overrides: Mapping[str, Any]) -> Question:
    """Have the app imported once more, in a process of its own that ends with its answer: its code has changed."""
    draft = WorkerOptions(
        node=Node(name="", incarnation="", boot="", pid=0), app=app, workdir=os.getcwd(), settings=overrides
    )
    return Question(lambda: _spawned(draft))


def _drained(reader: int) -> bytes:
    with open(reader, "rb") as stream:
        return stream.read()


def _spawned(draft: WorkerOptions) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "leveret.cli.node.planner"],
        input=msgspec.json.encode(draft),
        stdout=subprocess.PIPE,
        check=False,
    )
    return done.stdout


def plain_settings(settings: Settings) -> dict[str, Any]:
    """Those of an app's settings that survive JSON."""
    values = {name: getattr(settings, name) for name in FIELDS if name not in _NEED_THE_APP}
    return {name: _plain(value) for name, value in values.items() if _is_plain(value)}


def _plain(value: Any) -> Any:
    # msgspec refuses subclasses of str; the supervisor makes a Url of it again.
    return str(value) if isinstance(value, str) else value


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
