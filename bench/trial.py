"""One trial: one system, one measurement, in a fresh data folder on the disk the repository lies on."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.media import DATA, SQLITE, Medium
from bench.systems import BENCH, System
from leveret.cli.benching import proc
from leveret.cli.benching.counter import Counter
from leveret.cli.benching.measure import IDLE_SECONDS, WARM_UP, Window
from leveret.cli.benching.node import Node
from leveret.cli.benching.proc import TICKS

TIMEOUT = 120.0

Figures = Mapping[str, float]
Trial = Callable[..., Figures]


@dataclass(frozen=True, slots=True)
class Bed:
    """The folder, broker, counter and environment of one trial."""

    system: System
    medium: Medium
    folder: Path
    counter: Counter
    environment: dict[str, str]

    def run(self, *arguments: str, timeout: float = TIMEOUT) -> Figures:
        """A producer process; answers the JSON it prints, and what the broker used meanwhile."""
        command, before = self.system.command(*arguments), self.medium.cpu_seconds()
        done = subprocess.run(
            command, env=self.environment, cwd=BENCH / "peers", capture_output=True, text=True, timeout=timeout
        )
        if done.returncode:
            raise RuntimeError(f"{self.system.name}: {' '.join(arguments)} failed\n{done.stderr[-2000:]}")
        figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        if "tasks" in figures:
            used = self.medium.cpu_seconds() - before
            figures["broker_ms_per_1k"] = used / figures["tasks"] * 1e6
        return figures

    def node(self) -> Node:
        return Node(self.system.command("worker"), self.environment, self.folder / "worker.log")

    def window(self, node: Node) -> "Meter":
        return Meter(Window(node.pid, self.counter), self.medium)


class Meter:
    """A node and the broker beside it, the share of the cores they used, and how busy the machine was, between two
    moments. Where the last two differ, a neighbour was there."""

    def __init__(self, window: Window, medium: Medium) -> None:
        self._window, self._medium = window, medium
        self._broker, self._machine = medium.cpu_seconds(), machine_seconds()

    def close(self) -> Figures:
        rate = self._window.close()
        broker = self._medium.cpu_seconds() - self._broker
        busy, all = (now - then for now, then in zip(machine_seconds(), self._machine, strict=True))
        used = rate.cpu_ms_per_1k + broker / rate.tasks * 1e6
        return {
            **asdict(rate),
            "broker_ms_per_1k": broker / rate.tasks * 1e6,
            "used_percent": used * rate.per_second / 1e6 / (os.cpu_count() or 1) * 100,
            "machine_busy_percent": busy / all * 100,
        }


def machine_seconds() -> tuple[float, float]:
    """Of all cores since boot, whoever used them: busy, and busy or idle."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0, 1.0
    ticks = [int(field) for field in stat.read_text().splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / TICKS, sum(ticks) / TICKS


@contextmanager
def bed(system: System, medium: Medium = SQLITE, **options: str) -> Iterator[Bed]:
    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=DATA))
    counter = Counter(folder / "counter")
    try:
        with medium.place(folder) as place:
            environment = system.environment(folder, counter.path, place)
            environment |= {f"BENCH_{name.upper()}": value for name, value in options.items()}
            yield Bed(system, medium, folder, counter, environment)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def drain(system: System, medium: Medium = SQLITE, **options: str) -> Figures:
    """From 5 % of the backlog to all but the last few: start-up is not in it."""
    count = system.tasks
    with bed(system, medium, **options) as it:
        it.run("send", str(count), "bulk")
        with it.node() as node:
            node.wait_for(it.counter, int(count * WARM_UP) + 1, TIMEOUT)
            window = it.window(node)
            node.wait_for(it.counter, count - max(8, count // 500), TIMEOUT)
            return window.close()


def send_one(system: System, medium: Medium = SQLITE, **options: str) -> Figures:
    with bed(system, medium, **options) as it:
        return it.run("send", str(min(system.tasks, 4000)), "one")


def send_bulk(system: System, medium: Medium = SQLITE, **options: str) -> Figures:
    with bed(system, medium, **options) as it:
        return it.run("send", str(system.tasks), "bulk")


def send_at_once(system: System, medium: Medium = SQLITE, *, how: str = "threads", **options: str) -> Figures:
    """Sixteen threads or coroutines of one process, each sends one by one: what they share of a connection."""
    with bed(system, medium, **options) as it:
        return it.run("send", str(min(system.tasks, 16_000)), how)


def both(system: System, medium: Medium = SQLITE, **options: str) -> Figures:
    """The producer sends one by one to a node that runs already; until the last task has run."""
    count = min(system.tasks, 4000)
    with bed(system, medium, **options) as it:
        it.run("send", "1", "one")
        with it.node() as node:
            node.wait_for(it.counter, 1, TIMEOUT)
            window = it.window(node)
            it.run("send", str(count), "one")
            node.wait_for(it.counter, count + 1, TIMEOUT)
            return window.close()


def round_trip(system: System, medium: Medium = SQLITE, **options: str) -> Figures:
    """Idle node, one call at a time; then the node's CPU while nothing happens, and its memory."""
    with bed(system, medium, **options) as it:
        it.run("send", "1", "one")
        started = time.perf_counter()
        with it.node() as node:
            node.wait_for(it.counter, 1, TIMEOUT)
            first = time.perf_counter() - started
            latency = it.run("call", str(system.calls))
            time.sleep(2.0)
            cpu = proc.cpu_seconds(node.pid)
            time.sleep(IDLE_SECONDS)
            idle = (proc.cpu_seconds(node.pid) - cpu) / IDLE_SECONDS * 100
            memory = asdict(proc.memory(node.pid))
            stop = node.stop()
    return {**latency, **memory, "first_task_seconds": first, "stop_seconds": stop, "idle_cpu_percent": idle}


TRIALS = {"drain": drain, "send one by one": send_one, "send in bulk": send_bulk, "send and drain": both}
