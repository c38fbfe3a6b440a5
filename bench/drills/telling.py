"""`python -m bench telling`: what events and metrics cost a worker process, in CPU per task.

A node of one process runs what waits in its queue (`--burst`), with nothing on, with events, with metrics, with both,
one after the other in each round. The process itself notes its CPU time when it begins and when it ends; the task does
nothing, so that this is the worst case.
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

TASKS = 40_000
LIMIT = 15.0
"""Percent, for events and metrics together."""
APP = """
import os, resource
from leveret import Leveret, signals
app = Leveret("told", broker=os.environ["TOLD_BROKER"])

@app.task(name="told.nothing")
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
    with open(os.environ["TOLD_CPU"], "w") as file:
        file.write(str(used() - app.begun))
"""
KINDS = {"off": (), "events": ("-E",), "metrics": ("--metrics-port", "29808")}
KINDS["both"] = KINDS["events"] + KINDS["metrics"]


def run(count: int, broker: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "told_app.py").write_text(APP)
        if broker == "redis":
            server = Redis(folder / "redis")
            server.start()
            try:
                play(count, server.url, folder, broker)
            finally:
                server.stop()
        else:
            play(count, f"sqlite:///{folder}/queue.db", folder, broker)


def play(count: int, url: str, folder: Path, broker: str) -> None:
    app = Leveret("told", broker=url, set_as_current=False)

    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(count):
        for kind, options in KINDS.items():
            for start in range(0, TASKS, 1000):
                app.send_many([app.signature("told.nothing", (start + offset,)) for offset in range(1000)])
            found[kind].append(cpu_seconds(url, folder, options) / TASKS * 1e6)
            print(f"  round {number + 1}  {kind:<10} {found[kind][-1]:.1f} us of CPU per task", flush=True)
    medians = {kind: statistics.median(values) for kind, values in found.items()}
    shares = {kind: (value / medians["off"] - 1) * 100 for kind, value in medians.items() if kind != "off"}
    figures = [Figure(f"{kind}: more CPU per task", share, LIMIT, "%") for kind, share in shares.items()]
    rounds.write(f"telling-{broker}", {"figures": show(figures), "us_per_task": medians, "rounds": found})


def cpu_seconds(url: str, folder: Path, options: tuple[str, ...]) -> float:
    """Of the one worker process, from before its first claim to after its last settlement."""
    note = folder / "cpu"
    note.unlink(missing_ok=True)
    command = [sys.executable, "-m", "leveret.cli", "-A", "told_app", "-q", "worker", "-c", "1", "--burst", *options]
    environment = {**os.environ, "TOLD_BROKER": url, "TOLD_CPU": str(note)}
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=300, stderr=subprocess.DEVNULL)
    return float(note.read_text())
