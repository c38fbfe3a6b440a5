"""Real workers as processes: `celery worker` and `leveret worker` on the same broker."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
CELERY_APP = "tests.interop.sides.celery_app"
LEVERET_APP = "tests.interop.sides.leveret_app"


class WorkerProcess:
    """One worker and its children, in a process group of its own; its log is a file."""

    def __init__(self, side: str, name: str, folder: Path, environment: Mapping[str, str], options: list[str]) -> None:
        self.side, self.name = side, name
        self.log_path = folder / f"{name}.log"
        mutant = environment.get("INTEROP_MUTANT")
        ours = ["tests.e2e.mutants", mutant] if mutant else ["leveret.cli"]
        command = {
            "celery": ["-m", "celery", "-A", CELERY_APP, "worker", "--without-gossip", "--without-mingle"],
            "leveret": ["-m", *ours, "worker", "-A", LEVERET_APP],
        }[side]
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", *command, "-n", f"{name}@interop", "-l", "INFO", *options],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def pids(self) -> frozenset[int]:
        """The worker and everything below it, now."""
        return frozenset((self.process.pid, *_descendants(self.process.pid)))

    def stop(self, timeout: float = 20.0) -> int:
        """Ask it to end in order, and wait."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End the whole group at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def _descendants(pid: int) -> Iterator[int]:
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = thread.read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            yield child
            yield from _descendants(child)


class Notes:
    """What tasks left for the test, one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.touch()

    def all(self, **like: Any) -> list[dict[str, Any]]:
        # A line that crosses a page is seen half-written for a moment.
        whole, _, _ = self.path.read_text().rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line for line in lines if like.items() <= line.items()]

    def forget(self) -> None:
        self.path.write_text("")

    def wait(self, count: int = 1, timeout: float = 15.0, **like: Any) -> list[dict[str, Any]]:
        """Wait for that many lines that have these fields."""
        until(lambda: len(self.all(**like)) >= count, timeout, lambda: f"{like}: {self.all(**like)}")
        return self.all(**like)


def until(true: Any, timeout: float = 15.0, explain: Any = lambda: "") -> None:
    """Wait for a fact outside this process, which has no event to wait for."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {explain()}"
        time.sleep(0.01)
