"""A real node's figures at a real UDP socket: what ran is counted once, to the last run; nobody listening holds up
nothing."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from leveret import Leveret

ROOT = Path(__file__).parents[2]
APP = """
import os, time
from leveret import Leveret
app = Leveret("counted", broker=f"sqlite:///{os.environ['FOLDER']}/queue.db")

@app.task
def add(a, b):
    time.sleep(0.03)
    return a + b

@app.task
def bad():
    raise ValueError("no")
"""


class Listener:
    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.1)
        self.port = int(self.socket.getsockname()[1])
        self.counts: Counter[str] = Counter()
        self.gauges: dict[str, float] = {}
        self.timings: list[tuple[str, float, float]] = []
        """Name, milliseconds, how many runs."""

    def hear(self) -> None:
        try:
            packet = self.socket.recv(65_536).decode("ascii")
        except TimeoutError:
            return
        assert len(packet) <= 1_432
        for line in packet.split("\n"):
            found = re.fullmatch(r"([\w.-]+):([\d.]+)\|(c|g|ms)(?:\|@([\d.e-]+))?((?:\|#[\w:.,/-]+)?)", line)
            assert found, line
            name, value, kind, rate, tags = found.groups()
            match kind:
                case "c":
                    self.counts[name + tags] += int(value)
                case "g":
                    self.gauges[name + tags] = float(value)
                case _:
                    self.timings.append((name + tags, float(value), 1 / float(rate or 1)))


def started(folder: Path, port: int, **settings: str) -> subprocess.Popen[bytes]:
    (folder / "counted.py").write_text(APP)
    environment = {
        **os.environ,
        "FOLDER": str(folder),
        "PYTHONPATH": f"{folder}:{ROOT / 'src'}",
        "LEVERET_WORKER_STATSD_HOST": "127.0.0.1",
        "LEVERET_WORKER_STATSD_PORT": str(port),
        "LEVERET_WORKER_STATSD_INTERVAL": "0.3",
        **settings,
    }
    with (folder / "log").open("w") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "leveret.cli", "-A", "counted", "worker", "-c", "2", "-n", "s@node"],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def ended(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("tags", [False, True])
def test_a_nodes_figures_arrive_to_the_last_run(tmp_path: Path, tags: bool) -> None:
    listener = Listener()
    app = Leveret("counted", broker=f"sqlite:///{tmp_path}/queue.db", set_as_current=False)
    process = started(tmp_path, listener.port, LEVERET_WORKER_STATSD_TAGS=str(tags).lower())
    tag = "|#node:s_node"
    node = tag if tags else ".s_node"

    def queue(name: str, queue: str) -> str:
        return f"leveret.{name}{tag},queue:{queue}" if tags else f"leveret.{name}.{queue}"

    try:
        app.send_task("counted.add", (1, 1), queue="forgotten")
        results = [app.send_task("counted.add", (n, 1)) for n in range(20)]
        app.send_task("counted.bad")
        deadline = time.monotonic() + 30

        def until(true: Callable[[], bool]) -> None:
            while not true():
                assert time.monotonic() < deadline, (listener.counts, listener.gauges, (tmp_path / "log").read_text())
                listener.hear()

        until(lambda: listener.gauges.get(queue("queue_latency_seconds", "forgotten"), 0) > 0.5)
        until(lambda: listener.gauges.get(f"leveret.ready{node}") == 1)
        for result in results:
            result.get(timeout=30)
        # What runs just before the end is told, too.
        app.send_task("counted.add", (1, 1)).get(timeout=30)
        process.terminate()
        assert process.wait(20) == 0
        for _ in range(3):
            listener.hear()
    finally:
        ended(process)

    def runs(outcome: str) -> str:
        task = "bad" if outcome == "failed" else "add"
        return f"{tag},task:counted.{task},outcome:{outcome}" if tags else f".counted.{task}.{outcome}"

    assert listener.counts == {
        f"leveret.tasks{runs('succeeded')}": 21,
        f"leveret.tasks{runs('failed')}": 1,
    }
    timed = [
        (value, many) for name, value, many in listener.timings if name == f"leveret.task_runtime{runs('succeeded')}"
    ]
    assert sum(many for _, many in timed) == pytest.approx(21)
    assert 30 <= sum(value * many for value, many in timed) / 21 < 500
    assert listener.gauges[queue("queue_consumers", "forgotten")] == 0
    assert listener.gauges[queue("dead_letters", "forgotten")] == 0
    ready = (
        f"leveret.queue_messages{tag},queue:forgotten,state:ready" if tags else "leveret.queue_messages.forgotten.ready"
    )
    assert listener.gauges[ready] == 1
    assert listener.gauges[f"leveret.broker_up{node}"] == 1


def test_a_server_that_is_not_there_holds_up_nothing(tmp_path: Path) -> None:
    listener = Listener()
    listener.socket.close()
    app = Leveret("counted", broker=f"sqlite:///{tmp_path}/queue.db", set_as_current=False)
    process = started(tmp_path, listener.port, LEVERET_WORKER_STATSD_HOST="no-such-host.invalid")
    try:
        assert app.send_task("counted.add", (1, 1)).get(timeout=30) == 2
        process.terminate()
        assert process.wait(20) == 0
    finally:
        ended(process)
    assert (tmp_path / "log").read_text().count("metrics cannot be sent to StatsD at no-such-host.invalid") == 1
