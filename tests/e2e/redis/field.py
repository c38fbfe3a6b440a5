"""Nodes, producers and the judge around a Redis that keeps messages and outcomes."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hiredis import Reader
from tests.e2e.fleet import Fleet, Worker
from tests.servers.host.ports import HOST

from leveret.brokers.redis.driver import RedisDriver
from leveret.model.delivery import QueueCounts
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.model.state import READY_STATES
from leveret.wiring.clock import SystemClock

STALE = "stale settlement"


class RedisFleet(Fleet):
    """`direct`: the judge's way to Redis, where `broker` leads through something that breaks."""

    def __init__(
        self, folder: Path, broker: str, *, direct: str | None = None, lease: float = 20.0, **settings: Any
    ) -> None:
        self.lease = lease
        super().__init__(folder, broker, **settings)
        self._driver = RedisDriver(Url(direct or broker), DriverOptions(), SystemClock())
        self.store = self._driver

    def counts(self) -> tuple[QueueCounts, ...]:
        async def ask() -> tuple[QueueCounts, ...]:
            return await self._driver.admin().counts()

        return asyncio.run(ask())

    def left(self) -> int:
        """Messages that are still somewhere: waiting, delayed, in a session's hands, or parked."""
        return sum(one.ready + (one.delayed or 0) + (one.claimed or 0) + one.dead for one in self.counts())

    def stale(self) -> int:
        """Settlements that were refused, by the nodes' own words."""
        return sum(worker.log.read_text(errors="replace").count(STALE) for worker in self.workers)

    def close(self) -> None:
        self._driver.blocking_backend().close()
        self.store = None
        super().close()

    def outcome(self, stop: float = 90.0, drain: float = 60.0) -> dict[str, Any]:
        told = super().outcome(stop, drain)
        return {**told, "left": self.left(), "stale_refused": self.stale()}


class Notary:
    """Hears every outcome that Redis accepts, at Redis itself: a second terminal one of a task cannot hide behind a
    reply that was lost."""

    def __init__(self, port: int) -> None:
        self.terminal: Counter[str] = Counter()
        self._line = socket.create_connection((HOST, port), 5)
        self._line.sendall(b"*2\r\n$10\r\nPSUBSCRIBE\r\n$18\r\ncelery-task-meta-*\r\n")
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def twice(self) -> int:
        return sum(count > 1 for count in self.terminal.values())

    def _listen(self) -> None:
        reader = Reader()
        with suppress(OSError):
            self._line.settimeout(None)
            while data := self._line.recv(65_536):
                reader.feed(data)
                while (said := reader.gets()) is not False:
                    if said[0] == b"pmessage" and json.loads(said[3])["status"] in READY_STATES:
                        self.terminal[said[2].decode()] += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()
        self._thread.join(5)


class Comebacks:
    """When each node began a task again after a moment."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.seconds: list[float] = []

    def all_back(self, since: float, patience: float = 60.0) -> None:
        """Wait for everybody; all are to find work at once."""
        backs: dict[str, float] = {}
        names = {worker.name for worker in self.fleet.workers}

        def complete() -> bool:
            for lines in self.fleet.history.of("start").values():
                for line in lines:
                    if line.at > since:
                        backs[line.node] = min(line.at - since, backs.get(line.node, patience))
            return names <= backs.keys()

        self.fleet.until(complete, patience, lambda: f"only {backs} consume again")
        self.seconds += backs.values()

    def told(self, within: float) -> dict[str, Any]:
        ordered = sorted(self.seconds)
        return {
            "consumed_again": len(ordered),
            "back_seconds_max": round(ordered[-1], 2),
            "back_seconds_median": round(ordered[len(ordered) // 2], 2),
            "late": sum(back > within for back in ordered),
        }


def group_signal(worker: Worker, number: int) -> None:
    """To every process of a node: supervisor, fork server, children."""
    os.killpg(worker.process.pid, number)


def kill_node(worker: Worker) -> float:
    """A host's end; answers when."""
    moment = time.time()
    group_signal(worker, signal.SIGKILL)
    worker.process.wait()
    return moment
