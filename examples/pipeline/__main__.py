"""`python -m examples.pipeline`: sends the pipeline, starts a worker, shows how far it is."""

import argparse
import shutil
import subprocess
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from examples.pipeline.tasks import OUT, app, pipeline

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
        found = watch(result, options.parts, began + options.timeout)
    finally:
        worker.terminate()
        worker.wait()
    console.print((OUT / "note.txt").read_text().strip(), f"({time.monotonic() - began:.1f} s)")
    return 0 if found["parts"] == list(range(options.parts)) else 1


def watch(result: Any, parts: int, deadline: float) -> Any:
    """Show the parts that are done until all is; half-way, where the workflow stands."""
    header, told = result.parent.parent, False
    columns = (TextColumn("parts done"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=parts)
        while not progress.finished:
            done = header.completed_count()
            progress.update(bar, completed=done)
            if not told and done >= parts / 2:
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
