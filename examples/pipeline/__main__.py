"""`python -m examples.pipeline`: sends the pipeline, starts a worker, shows how far it is."""

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from examples.pipeline.tasks import OUT, app, pipeline
from leveret import ResultSet

console = Console(soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", type=int, default=20)
    parser.add_argument("--rows", type=int, default=50_000, help="of each part")
    parser.add_argument("--timeout", type=float, default=300.0)
    options = parser.parse_args()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    began = time.monotonic()
    result = pipeline(options.parts, options.rows).apply_async().save()
    console.print(f"{options.parts * options.rows:,} rows in {options.parts} parts; leveret graph {result.id}")
    command = [sys.executable, "-m", "leveret.cli", "worker", "-A", "examples.pipeline.tasks", "-c", "2"]
    with (OUT / "worker.log").open("w") as log:
        worker = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        found = watch(result, began + options.timeout)
    finally:
        worker.terminate()
        worker.wait()
    console.print((OUT / "note.txt").read_text().strip(), f"({time.monotonic() - began:.1f} s)")
    return 0 if found["parts"] == list(range(options.parts)) else 1


def parts_of(header: Any) -> Iterator[Any]:
    """The results of every part's steps: findings, its three checks, preprocess, collect."""
    for findings in header:
        checks = findings.parent
        yield from (findings, *checks, checks.parent, checks.parent.parent)


def watch(result: Any, deadline: float) -> Any:
    """Show how many steps are done until all are; half-way, where the workflow stands."""
    steps, told = ResultSet([result, result.parent, *parts_of(result.parent.parent)]), False
    columns = (TextColumn("steps done"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(steps))
        while not progress.finished:
            done = steps.completed_count()
            progress.update(bar, completed=done)
            if not told and done >= len(steps) / 2:
                told = True
                shown = str(result.explain()).splitlines()
                console.print("\n".join([*shown[:6], "...", *shown[-2:]]), markup=False)
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
    return result.get(timeout=max(1.0, deadline - time.monotonic()))


if __name__ == "__main__":
    app.set_default()
    sys.exit(main())
