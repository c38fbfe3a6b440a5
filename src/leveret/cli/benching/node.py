"""One `leveret worker` under measurement, started and stopped as its own process group."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from leveret.cli.benching import proc
from leveret.cli.benching.counter import Counter
from leveret.errors import LeveretError


class NodeStopped(LeveretError):
    """The measured worker ended, or did not get its tasks done in time; the end of its log says why."""


class Node:
    """Writes its log to a file at its default level, as a node in service does."""

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._environment = {**os.environ, **environment}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Node":
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_for(self, counter: Counter, count: int, timeout: float) -> None:
        """Return when `count` tasks have run."""
        deadline = time.monotonic() + timeout
        while counter.value() < count:
            if not self.running:
                raise NodeStopped(f"the worker ended before its tasks had run:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                done = f"{counter.value():,} of {count:,} tasks ran in {timeout:g} s"
                raise NodeStopped(f"{done}; the end of the worker's log:\n{self.log_tail()}")
            time.sleep(0.002)

    def stop(self, timeout: float = 15.0) -> float:
        """Warm stop; whatever is left after `timeout` is killed. Answers the seconds it took."""
        if self._process is None or self._process.poll() is not None:
            return 0.0
        members = proc.tree(self.pid)
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        took = time.monotonic() - started
        for pid in members:
            _kill_in_session(pid, self.pid)
        return took

    def log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])


def worker_command(app: str, *options: str) -> tuple[str, ...]:
    """`leveret worker` by the interpreter that runs us: works from a wheel, a checkout and uvx alike."""
    return (sys.executable, "-m", "leveret.cli", "worker", "-A", app, *options)


def _kill_in_session(pid: int, session: int) -> None:
    """A pid may belong to somebody else by now; our node's session is its own."""
    try:
        if os.getsid(pid) == session:
            os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
