"""The demo itself: send the work, kill a worker process half-way, count what became of every task."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from examples.photos import sheet
from examples.photos.journal import Run
from examples.photos.tasks import FILTERS, OUT, SIZES, app, apply_filter, journal, label, main_colours, thumbnail
from leveret import AsyncResult

PROCESSES = 2
MOST_PHOTOS = 100
"""Of somebody's own folder: the demo is over in two minutes."""
DEADLINE_SECONDS = 100.0
HICCUP_SHARE = 12
"""One filter job in so many fails its first attempt."""

console = Console(soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for, and where its result will be."""

    photo: str
    result: AsyncResult[Any]


@dataclass(slots=True)
class Tally:
    """What the results say at the end; `recovered` and `retried` come from the journal, which is not the queue's."""

    total: int
    seconds: float = 0.0
    done: int = 0
    failed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    colours: dict[str, list[str]] = field(default_factory=dict)


def show(photos: Sequence[Path]) -> int:
    clean_up()
    jobs = send(photos[:MOST_PHOTOS])
    log = OUT / "worker.log"
    console.print(f"{len(jobs)} jobs from {min(len(photos), MOST_PHOTOS)} photographs are in {app.conf.broker_url}")
    started = time.monotonic()
    with worker(log) as process:
        struck = follow(jobs, process, started + DEADLINE_SECONDS)
        tally = count(jobs, time.monotonic() - started)
    return report(tally, struck, log)


def clean_up() -> None:
    """What an interrupted demo left: its pictures, its journal, its jobs."""
    shutil.rmtree(OUT, ignore_errors=True)
    (OUT / "pictures").mkdir(parents=True)
    leveret("purge", "-f", "-Q", "photos")


def send(photos: Sequence[Path]) -> list[Job]:
    """One message for each size, each filter, and the colours of each photograph."""
    jobs: list[Job] = []
    for photo in map(str, photos):
        results: list[AsyncResult[Any]] = [thumbnail.delay(photo, size) for size in SIZES]
        for name in FILTERS:
            hiccup = zlib.crc32(f"{label(photo)}{name}".encode()) % HICCUP_SHARE == 0
            results.append(apply_filter.delay(photo, name, hiccup))
        results.append(main_colours.delay(photo))
        jobs += [Job(label(photo), result) for result in results]
    return jobs


@contextmanager
def worker(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`leveret worker`, as you would start it."""
    command = leveret_command("worker", "-c", str(PROCESSES), "-l", "info")
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


def follow(jobs: Sequence[Job], process: subprocess.Popen[bytes], deadline: float) -> Run | None:
    """Show the progress; half-way, kill a worker process in the middle of a task."""
    struck = None
    waiting = [job.result for job in jobs]
    columns = (TextColumn("{task.description}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("photographs", total=len(jobs))
        while waiting and time.monotonic() < deadline and process.poll() is None:
            waiting = [result for result in waiting if not result.ready()]
            progress.update(bar, completed=len(jobs) - len(waiting))
            if struck is None and len(waiting) <= len(jobs) // 2:
                struck = strike()
                if struck:
                    progress.console.print(f"[red]kill -9 {struck.pid}[/], which is running task {struck.id}")
            time.sleep(0.05)
    return struck


def strike() -> Run | None:
    """SIGKILL for a process that is running a task; None when the task ended before the blow fell."""
    for run in journal.open_runs():
        try:
            os.kill(run.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        time.sleep(0.01)
        return run if run in journal.open_runs() else None
    return None


def count(jobs: Sequence[Job], seconds: float) -> Tally:
    """Ask the result store about every single task that was sent."""
    tally = Tally(total=len(jobs), seconds=seconds)
    for job in jobs:
        match job.result.state:
            case "SUCCESS":
                tally.done += 1
                keep(job.photo, job.result.get(timeout=5), tally)
            case "FAILURE" | "REVOKED":
                tally.failed.append(f"{job.result.id}: {job.result.result!r}")
            case _:
                tally.lost.append(job.result.id)
    return tally


def keep(photo: str, value: str | list[str], tally: Tally) -> None:
    if isinstance(value, str):
        tally.pictures.append(value)
    else:
        tally.colours[photo] = value


def report(tally: Tally, struck: Run | None, log: Path) -> int:
    recovered = journal.recovered()
    figures = (
        f"{tally.total} jobs: {tally.done} done, {len(tally.failed)} failed, {len(tally.lost)} lost; "
        f"{len(journal.retried())} retried after an injected error, {len(recovered)} recovered from a killed process; "
        f"{tally.seconds:.1f} s, {tally.done / tally.seconds:,.0f} jobs/s"
    )
    sheet.write_html(OUT / "contact-sheet.html", tally.pictures, tally.colours, figures)
    sheet.write_png(OUT / "contact-sheet.png", OUT / "pictures", tally.pictures)
    console.print(f"\n[bold]{figures}[/]")
    if struck:
        pids = [run.pid for run in journal.begun() if run.id == struck.id]
        console.print(f"task {struck.id} began on process {pids[0]} and ran again on {pids[-1]}")
    for line in (*tally.failed, *(f"{lost}: lost" for lost in tally.lost)):
        console.print(f"[red]{line}[/]")
    console.print(
        f"contact sheet: {OUT / 'contact-sheet.html'}\n               {OUT / 'contact-sheet.png'}\nlog: {log}"
    )
    return 0 if struck and not tally.failed and not tally.lost else 1


def leveret_command(verb: str, *options: str) -> list[str]:
    return [str(Path(sys.executable).with_name("leveret")), "-A", "examples.photos.tasks", verb, *options]


def leveret(verb: str, *options: str) -> None:
    subprocess.run(leveret_command(verb, *options), check=True, stdout=subprocess.DEVNULL)
