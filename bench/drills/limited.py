"""`python -m bench limits`: what limits cost a worker process, in CPU per task, and what they cost where none is used.

A node of one process runs what waits in its queue (`--burst`): a task without limits, one with a rate, one with a
concurrency, one with both, so wide that nobody ever waits; and the first of them with the code of another checkout
(`--before PATH/src`). The task does nothing, so that this is the worst case.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import rounds
from bench.brokers import Redis
from bench.drills.verdicts import Figure, show
from leveret import Leveret

TASKS = 20_000
MOST_MICROSECONDS = 25.0
MOST_PERCENT = 2.0
"""Unused; what two runs of the same code may differ by."""
APP = """
import os, resource
from leveret import Leveret, signals
app = Leveret("limited", broker=os.environ["LIMITED_BROKER"])

def limits():
    from leveret import Concurrency, Rate
    rate, slots = Rate("1000000/s", burst=1000000), Concurrency(1000000)
    return {"none": (), "rate": rate, "concurrency": slots, "both": (rate, slots)}[os.environ["LIMITED_KIND"]]

options = {} if os.environ["LIMITED_KIND"] in ("none", "before") else {"limits": limits()}

@app.task(name="limited.nothing", **options)
def nothing(number):
    return number

def used():
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime

@signals.worker_process_init.connect
def begin(**kwargs):
    app.begun = used()

@signals.worker_process_shutdown.connect
def end(**kwargs):
    with open(os.environ["LIMITED_CPU"], "w") as file:
        file.write(str(used() - app.begun))
"""
KINDS = ("none", "rate", "concurrency", "both")


def run(count: int, broker: str, before: str | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "limited_app.py").write_text(APP)
        if broker == "redis":
            server = Redis(folder / "redis")
            server.start()
            try:
                play(count, server.url, folder, broker, before)
            finally:
                server.stop()
        else:
            play(count, f"sqlite:///{folder}/queue.db", folder, broker, before)


def play(count: int, url: str, folder: Path, broker: str, before: str | None) -> None:
    app = Leveret("limited", broker=url, set_as_current=False)
    kinds = (*KINDS, *(("before",) if before else ()))
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(count):
        for kind in kinds:
            for start in range(0, TASKS, 1000):
                app.send_many([app.signature("limited.nothing", (start + offset,)) for offset in range(1000)])
            found[kind].append(cpu_seconds(url, folder, kind, before) / TASKS * 1e6)
            print(f"  round {number + 1}  {kind:<12} {found[kind][-1]:.1f} us of CPU per task", flush=True)
    medians = {kind: statistics.median(values) for kind, values in found.items()}
    figures = [
        Figure(f"{kind}: more CPU per task", medians[kind] - medians["none"], MOST_MICROSECONDS, " us")
        for kind in KINDS[1:]
    ]
    if before:
        share = (medians["none"] / medians["before"] - 1) * 100
        figures.append(Figure("unused: more CPU per task than before", share, MOST_PERCENT, "%"))
    rounds.write(f"limits-cost-{broker}", {"figures": show(figures), "us_per_task": medians, "rounds": found})


def cpu_seconds(url: str, folder: Path, kind: str, before: str | None) -> float:
    """Of the one worker process, from before its first claim to after its last settlement."""
    note = folder / "cpu"
    note.unlink(missing_ok=True)
    command = [sys.executable, "-m", "leveret.cli", "-A", "limited_app", "-q", "worker", "-c", "1", "--burst"]
    environment = {**os.environ, "LIMITED_BROKER": url, "LIMITED_CPU": str(note), "LIMITED_KIND": kind}
    if kind == "before" and before:
        environment["PYTHONPATH"] = before
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=300, stderr=subprocess.DEVNULL)
    return float(note.read_text())
