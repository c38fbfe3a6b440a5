"""One trial: one system, one measurement, in a fresh data folder on the disk the repository lies on."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.systems import BENCH, System
from leveret.cli.benching import proc
from leveret.cli.benching.counter import Counter
from leveret.cli.benching.measure import IDLE_SECONDS, WARM_UP, Window
from leveret.cli.benching.node import Node

DATA = BENCH / ".data"
TIMEOUT = 120.0

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bed:
    """The folder, counter and environment of one trial."""

    system: System
    folder: Path
    counter: Counter
    environment: dict[str, str]

    def run(self, *arguments: str) -> Figures:
        """A producer process; answers the JSON it prints."""
        command = self.system.command(*arguments)
        done = subprocess.run(
            command, env=self.environment, cwd=BENCH / "peers", capture_output=True, text=True, timeout=TIMEOUT
        )
        if done.returncode:
            raise RuntimeError(f"{self.system.name}: {' '.join(arguments)} failed\n{done.stderr[-2000:]}")
        figures: Figures = json.loads(done.stdout.splitlines()[-1])
        return figures

    def node(self) -> Node:
        return Node(self.system.command("worker"), self.environment, self.folder / "worker.log")


@contextmanager
def bed(system: System, **options: str) -> Iterator[Bed]:
    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=DATA))
    counter = Counter(folder / "counter")
    environment = system.environment(folder, counter.path)
    environment |= {f"BENCH_{name.upper()}": value for name, value in options.items()}
    try:
        yield Bed(system, folder, counter, environment)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def drain(system: System, **options: str) -> Figures:
    """From 5 % of the backlog to all but the last few: start-up is not in it."""
    count = system.tasks
    with bed(system, **options) as it:
        it.run("send", str(count), "bulk")
        with it.node() as node:
            node.wait_for(it.counter, int(count * WARM_UP) + 1, TIMEOUT)
            window = Window(node.pid, it.counter)
            node.wait_for(it.counter, count - max(8, count // 500), TIMEOUT)
            return asdict(window.close())


def send_one(system: System, **options: str) -> Figures:
    with bed(system, **options) as it:
        return it.run("send", str(min(system.tasks, 4000)), "one")


def send_bulk(system: System, **options: str) -> Figures:
    with bed(system, **options) as it:
        return it.run("send", str(system.tasks), "bulk")


def both(system: System, **options: str) -> Figures:
    """The producer sends one by one to a node that runs already; until the last task has run."""
    count = min(system.tasks, 4000)
    with bed(system, **options) as it:
        it.run("send", "1", "one")
        with it.node() as node:
            node.wait_for(it.counter, 1, TIMEOUT)
            window = Window(node.pid, it.counter)
            it.run("send", str(count), "one")
            node.wait_for(it.counter, count + 1, TIMEOUT)
            return asdict(window.close())


def round_trip(system: System, **options: str) -> Figures:
    """Idle node, one call at a time; then the node's CPU while nothing happens, and its memory."""
    with bed(system, **options) as it:
        it.run("send", "1", "one")
        started = time.perf_counter()
        with it.node() as node:
            node.wait_for(it.counter, 1, TIMEOUT)
            first = time.perf_counter() - started
            latency = it.run("call", "300" if system.peer == "leveret" else "15")
            time.sleep(2.0)
            cpu = proc.cpu_seconds(node.pid)
            time.sleep(IDLE_SECONDS)
            idle = (proc.cpu_seconds(node.pid) - cpu) / IDLE_SECONDS * 100
            memory = asdict(proc.memory(node.pid))
            stop = node.stop()
    return {**latency, **memory, "first_task_seconds": first, "stop_seconds": stop, "idle_cpu_percent": idle}


TRIALS = {"drain": drain, "send one by one": send_one, "send in bulk": send_bulk, "send and drain": both}
