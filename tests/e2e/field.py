"""An app of the test's own on a broker, its nodes as processes, and what its tasks tell as it happens."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.harness import ROOT

from leveret.cli.verbs.target import on_drivers
from leveret.model.delivery import QueueCounts
from leveret.wiring.drivers import Drivers


class Ear:
    """Hears what tasks tell, in order; `on` is called with each word as it comes."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.heard: Counter[tuple[str, str]] = Counter()
        self.on: Callable[[str, str], None] = lambda what, name: None
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while (word := self._socket.recv(65536).decode()) != "over ":
            what, _, name = word.partition(" ")
            self.heard[what, name] += 1
            self.on(what, name)

    def names(self, what: str) -> set[str]:
        # A copy in one step: the listener adds to it meanwhile.
        return {name for heard, name in list(self.heard) if heard == what}

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            mouth.sendto(b"over ", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()


class Field:
    """An app of this process's on a broker, its nodes, and what its tasks tell."""

    def __init__(
        self,
        folder: Path,
        broker: str,
        results: str,
        monkeypatch: pytest.MonkeyPatch,
        module: str = "tests.e2e.revoke_app",
    ) -> None:
        self.ear, self._module = Ear(), module
        self._folder, self._nodes = folder, list[subprocess.Popen[bytes]]()
        self.places = {"REVOKE_BROKER": broker, "REVOKE_RESULTS": results, "REVOKE_PORT": str(self.ear.port)}
        for name, value in self.places.items():
            monkeypatch.setenv(name, value)
        sys.modules.pop(module, None)
        self.tasks: Any = import_module(module)
        self.app = self.tasks.app

    def node(self, *options: str) -> "subprocess.Popen[bytes]":
        with (self._folder / f"node-{len(self._nodes)}.log").open("wb") as log:
            node = subprocess.Popen(
                [sys.executable, "-m", "leveret.cli", "worker", "-A", self._module, "-l", "INFO", *options],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", **self.places},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._nodes.append(node)
        return node

    def steered(self) -> None:
        until(lambda: self.app.control.ping(timeout=0.5, limit=1), 30, self.logs)

    def kill(self) -> None:
        """Everything of every node, at once."""
        for node in self._nodes:
            try:
                os.killpg(node.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            node.wait()

    def stop(self) -> None:
        """Have the last node end what it runs, give the rest back, and end."""
        self._nodes[-1].send_signal(signal.SIGTERM)
        self.ended()

    def ended(self, timeout: float = 20.0) -> int:
        """Wait for the last node's end; answers its exit code."""
        return self._nodes[-1].wait(timeout)

    def left(self) -> dict[str, int]:
        """What stands in all queues; None of a broker that does not tell is nothing."""

        async def look(drivers: Drivers) -> tuple[QueueCounts, ...]:
            return await drivers.broker.admin().counts()

        counts = on_drivers(self.app.conf.settings, look)
        return {
            "ready": sum(one.ready + (one.delayed or 0) for one in counts),
            "claimed": sum(one.claimed or 0 for one in counts),
        }

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self._folder.glob("node-*.log")))

    def close(self) -> None:
        self.kill()
        self.app.close()
        self.ear.close()


def until(true: Callable[[], Any], timeout: float, explain: Callable[[], str]) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.01)
