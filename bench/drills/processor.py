"""What a worker process spends on a task that does nothing: a node of one process runs what waits in its queue
(`--burst`), and the process itself notes its CPU time when it begins and when it ends."""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.brokers import Redis
from leveret import Leveret

APP = """
import os, resource
from leveret import Leveret, signals
app = Leveret("spent", broker=os.environ["SPENT_BROKER"])

def used():
    now = resource.getrusage(resource.RUSAGE_SELF)
    return now.ru_utime + now.ru_stime

@signals.worker_process_init.connect
def begin(**kwargs):
    app.begun = used()

@signals.worker_process_shutdown.connect
def end(**kwargs):
    with open(os.environ["SPENT_NOTE"], "w") as file:
        file.write(str(used() - app.begun))
"""
TASK = """
@app.task(name="nothing")
def nothing(number):
    return number
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to run the node: options of `leveret worker`, and variables of its environment."""

    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


Found = dict[str, list[float]]
"""Microseconds of CPU per task, of each kind, round by round."""


def rounds_of(kinds: Mapping[str, Kind], count: int, tasks: int, broker: str, text: str = TASK) -> Found:
    """All kinds one after the other in each round, which is what makes them comparable."""
    found: Found = {name: [] for name in kinds}
    with place(broker, APP + text) as (url, folder):
        app = Leveret("spent", broker=url, set_as_current=False)
        for number in range(count):
            for name, kind in kinds.items():
                for start in range(0, tasks, 1000):
                    app.send_many([app.signature("nothing", (start + offset,)) for offset in range(1000)])
                found[name].append(cpu_seconds(url, folder, kind) / tasks * 1e6)
                print(f"  round {number + 1}  {name:<12} {found[name][-1]:.1f} us of CPU per task", flush=True)
    return found


@contextmanager
def place(broker: str, text: str) -> Iterator[tuple[str, Path]]:
    """A broker, and a folder with the app in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spent_app.py").write_text(text)
        if broker != "redis":
            yield f"sqlite:///{folder}/queue.db", folder
            return
        server = Redis(folder / "redis")
        server.start()
        try:
            yield server.url, folder
        finally:
            server.stop()


def cpu_seconds(url: str, folder: Path, kind: Kind) -> float:
    """Of the one worker process, from before its first claim to after its last settlement."""
    note = folder / "cpu"
    note.unlink(missing_ok=True)
    command = [sys.executable, "-m", "leveret.cli", "-A", "spent_app", "-q", "worker", "-c", "1", "--burst"]
    environment = {**os.environ, "SPENT_BROKER": url, "SPENT_NOTE": str(note), **kind.environment}
    command += kind.options
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=300, stderr=subprocess.DEVNULL)
    return float(note.read_text())


def more(with_it: Sequence[float], without: Sequence[float]) -> float:
    """Percent: the median of the rounds' ratios, for the machine's speed changes from round to round."""
    return (statistics.median(a / b for a, b in zip(with_it, without, strict=True)) - 1) * 100


def extra(with_it: Sequence[float], without: Sequence[float]) -> float:
    """Microseconds a task: the median of the rounds' differences."""
    return statistics.median(a - b for a, b in zip(with_it, without, strict=True))


def medians(found: Found) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in found.items()}
