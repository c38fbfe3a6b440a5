"""Starts nodes as processes, sends them work, and reads what happened."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leveret.brokers.sql.driver import SqlDriver
from leveret.model.delivery import Encoded, Posting
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

ROOT = Path(__file__).parents[2]


class RunningNode:
    """One supervisor process; `expect` waits for what it says."""

    def __init__(self, environment: dict[str, str], **options: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self._fresh: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.node", json.dumps(options)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment,
        )
        self.pid = self.process.pid
        threading.Thread(target=self._read, daemon=True).start()

    def expect(self, event: str, timeout: float = 20.0, **fields: Any) -> dict[str, Any]:
        """Wait for an event that has these fields."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                heard = self._fresh.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {event} {fields} in {timeout} s; heard {self.events}") from None
            assert heard is not None, f"the node ended without {event} {fields}; heard {self.events}"
            if heard["event"] == event and all(str(value) in str(heard.get(name)) for name, value in fields.items()):
                return heard

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20.0) -> int:
        """Signal it and wait for its end; answers the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            self.events.append(event)
            self._fresh.put(event)
        self._fresh.put(None)


class Bench:
    """One queue file, one history, any number of nodes."""

    def __init__(self, folder: Path) -> None:
        self.history_path = folder / "history"
        self.history_path.touch()
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
            "TEST_URL": f"sqlite:///{folder / 'queue.db'}",
            "TEST_HISTORY": str(self.history_path),
        }
        self.driver = SqlDriver(Url(self.environment["TEST_URL"]), DriverOptions(), SystemClock())
        self.nodes: list[RunningNode] = []

    def node(self, environment: dict[str, str] | None = None, **options: Any) -> RunningNode:
        node = RunningNode({**self.environment, **(environment or {})}, **options)
        self.nodes.append(node)
        return node

    def send(self, name: str, count: int = 1) -> list[str]:
        ids = [str(uuid.uuid4()) for _ in range(count)]
        postings = tuple(
            Posting(id=id, queue="default", encoded=Encoded({"id": id, "task": name}, b"[[], {}, {}]")) for id in ids
        )
        self.driver.blocking().publish(postings, timeout=10)
        return ids

    def resize(self, by: int) -> None:
        """Have the one node's pool grow or shrink; it answers with the event `resized` or `refused`."""
        whole = self.history_path.with_suffix(".order")
        whole.write_text(str(by))
        whole.rename(f"{self.history_path}.resize")

    def history(self, what: str, id: str | None = None) -> list[list[str]]:
        """Lines that begin with `what` (and name `id`), split."""
        lines = [line.split() for line in self.history_path.read_text().splitlines()]
        return [line for line in lines if line[0] == what and id in (None, line[1])]

    def until(self, true: Callable[[], bool], timeout: float = 20.0) -> float:
        """Wait for a fact on disk or in /proc, which has no event to wait for; answers how long it took."""
        start = time.monotonic()
        while not true():
            assert time.monotonic() - start < timeout, f"not within {timeout} s:\n{self.history_path.read_text()}"
            time.sleep(0.01)
        return time.monotonic() - start

    def close(self) -> None:
        for node in self.nodes:
            node.end()
        self.driver.close()
        # A supervisor that was killed leaves children, who leave by themselves; a stopped one cannot.
        for line in self.history("child"):
            try:
                os.kill(int(line[1]), signal.SIGKILL)
            except ProcessLookupError:
                continue


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
