"""The live view of `leveret events`: nodes above, tasks below, the newest first."""

import asyncio
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from leveret.client.events.rows import Task, Worker
from leveret.client.events.state import State

PAINT_SECONDS = 0.25
COLORS = {"SUCCESS": "green", "FAILURE": "red", "RETRY": "yellow", "STARTED": "cyan", "REVOKED": "magenta"}


class Screen:
    """Owns the terminal while it is entered."""

    def __init__(self, where: str, *, color: bool) -> None:
        self._where = where
        self._console = Console(no_color=not color, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, screen=self._console.is_terminal)

    async def paint(self, state: State) -> None:
        """Show what is known, until cancelled."""
        while True:
            room = max(5, self._console.height - len(state.workers) - 8)
            self._live.update(state.freeze_while(picture, state, self._where, room), refresh=True)
            await asyncio.sleep(PAINT_SECONDS)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._live.stop()


def picture(state: State, where: str, room: int) -> Group:
    """All of it, with `room` tasks at most."""
    alive = sum(worker.alive for worker in state.workers.values())
    head = Text(f"{where}   nodes {alive}   tasks {state.task_count}   events {state.event_count}", style="bold")
    return Group(head, _nodes(state), _tasks(state, room), Text("Ctrl-C ends this view", style="dim"))


def _nodes(state: State) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("node", "", "active", "done", "load"):
        table.add_column(name)
    for worker in sorted(state.workers.values(), key=lambda one: str(one.hostname)):
        table.add_row(*_node(worker))
    return table


def _node(worker: Worker) -> tuple[Text, ...]:
    load = " ".join(map(str, worker.loadavg or ()))
    online = Text(worker.status_string.lower(), style="green" if worker.alive else "red")
    return Text(str(worker.hostname)), online, _text(worker.active), _text(worker.processed), Text(load)


def _tasks(state: State, room: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", expand=True)
    for name, ratio in (("time", None), ("state", None), ("task", 2), ("id", 2), ("node", 1), ("what", 3)):
        table.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")
    for _, task in islice(state.tasks_by_time(), room):
        table.add_row(*_task(task))
    return table


def _task(task: Task) -> tuple[Text, ...]:
    at = f"{datetime.fromtimestamp(task.timestamp):%H:%M:%S}" if task.timestamp else ""
    what = task.exception or (f"{task.result} in {task.runtime:.3g} s" if task.runtime is not None else task.args)
    node = task.worker.hostname if task.worker is not None else task.client
    return (
        Text(at), Text(task.state, style=COLORS.get(task.state, "")), _text(task.name), _text(task.uuid),
        _text(node), _text(what),
    )  # fmt: skip


def _text(value: Any) -> Text:
    return Text("" if value is None else "".join(one if one.isprintable() else " " for one in str(value)))
