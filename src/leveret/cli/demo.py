"""`leveret demo`: two processes, 500 tasks, one SIGKILL, nothing lost. Standard library only, no server, 30 seconds."""

import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from leveret.cli.benching.demo_tasks import JOURNAL, Journal, app, crunch
from leveret.cli.benching.node import Node, worker_command
from leveret.client.result import AsyncResult

APP = "leveret.cli.benching.demo_tasks"
TASKS, PROCESSES = 500, 2
DEADLINE_SECONDS = 60.0
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """The process that was killed and the task that ran in it."""

    pid: int
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    done: int
    failed: int
    lost: int
    seconds: float


@click.command("demo")
def command() -> int:
    """Run 500 tasks on two worker processes, kill one of them half-way, and count what became of every task."""
    console = Console(soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="leveret-demo-") as folder:
        struck, tally, journal = play(Path(folder), console)
        report(console, struck, tally, journal)
    return 0 if tally.done == TASKS and struck else 1


def play(folder: Path, console: Console) -> tuple[Struck | None, Tally, Journal]:
    broker = f"sqlite:///{folder}/queue.db"
    app.conf.update(broker_url=broker)
    journal = Journal(folder / "journal")
    console.print(
        f"[bold]{TASKS} tasks[/] of 20 ms, [bold]{PROCESSES} processes[/], one SQLite file: {folder}/queue.db"
    )

    results = [crunch.delay(number) for number in range(TASKS)]
    environment = {"LEVERET_BROKER_URL": broker, JOURNAL: str(folder / "journal")}
    started = time.monotonic()
    with Node(worker_command(APP, "-c", str(PROCESSES)), environment, folder / "worker.log") as node:
        struck = watch(
            results, journal, console, lambda: node.running and time.monotonic() < started + DEADLINE_SECONDS
        )
        took = time.monotonic() - started
        if not node.running:
            console.print(f"[red]the worker ended[/]\n{node.log_tail()}")
    states = [result.state for result in results]
    done, failed = states.count("SUCCESS"), states.count("FAILURE")
    return struck, Tally(done=done, failed=failed, lost=TASKS - done - failed, seconds=took), journal


def watch(
    results: Sequence[AsyncResult[str]], journal: Journal, console: Console, go_on: Callable[[], bool]
) -> Struck | None:
    """Follow the results; when half are in, kill a process that is running a task."""
    struck = None
    waiting = list(results)
    with Progress(console=console) as progress:
        bar = progress.add_task("running", total=TASKS)
        while waiting and go_on():
            waiting = [result for result in waiting if not result.ready()]
            progress.update(bar, completed=TASKS - len(waiting))
            if struck is None and len(waiting) <= TASKS // 2:
                struck = strike(journal)
                if struck:
                    progress.console.print(f"[red]kill -9 {struck.pid}[/]: it was running task {struck.number}")
            time.sleep(0.05)
    return struck


def strike(journal: Journal) -> Struck | None:
    """Kill a process that runs a task now; None when none does, or it was between two tasks when the blow came."""
    for pid in journal.running():
        try:
            os.kill(pid, KILL)
        except ProcessLookupError:
            continue  # it ended since
        time.sleep(0.01)
        number = journal.running().get(pid)
        return None if number is None else Struck(pid=pid, number=number)
    return None


def report(console: Console, struck: Struck | None, tally: Tally, journal: Journal) -> None:
    runs = journal.runs()
    again = [number for number, pids in runs.items() if len(pids) > 1]
    console.print(
        f"done [bold]{tally.done}[/]  failed {tally.failed}  recovered {len(again)}  [bold]lost {tally.lost}[/]  "
        f"in {tally.seconds:.1f} s ({tally.done / tally.seconds:,.0f} tasks/s)"
    )
    if struck and len(runs.get(struck.number, ())) > 1:
        console.print(f"task {struck.number} began on process {struck.pid}, and ran again on {runs[struck.number][-1]}")
