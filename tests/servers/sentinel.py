"""A Redis with replicas and three sentinels, each a process of its own: to kill or freeze the master."""

import os
import re
import signal
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.servers.host.ports import HOST
from tests.servers.redis import RedisOptions, RedisServer

MASTER = "main"
SENTINELS, QUORUM = 3, 2
DOWN_AFTER_SECONDS = 1.0
PATIENCE = 30.0


class Sentinel(RedisServer):
    """Watches one master under the name `main`."""

    mode = ("--sentinel",)

    def __init__(self, watched: RedisServer, kind: str = "redis") -> None:
        super().__init__(RedisOptions(kind=kind))
        self._watched = watched

    def _configuration(self) -> list[str]:
        return [
            f"bind {HOST}",
            f"port {self.port}",
            f'dir "{self.folder / "data"}"',
            f"sentinel monitor {MASTER} {HOST} {self._watched.port} {QUORUM}",
            f"sentinel down-after-milliseconds {MASTER} {int(DOWN_AFTER_SECONDS * 1000)}",
            f"sentinel failover-timeout {MASTER} 5000",
        ]


class SentinelFleet:
    """`servers` are the master of the beginning and its replicas."""

    def __init__(self, *, kind: str = "redis", durable: bool = False, replicas: int = 1) -> None:
        self._kind, self._durable, self._replicas = kind, durable, replicas
        self.servers: list[RedisServer] = []
        self.sentinels: list[Sentinel] = []

    def start(self) -> Self:
        """Start all, and wait until the replicas have everything and the sentinels know them and one another."""
        first = self._add(self._server(), self.servers)
        replicating = (f"replicaof {HOST} {first.port}", "repl-diskless-sync-delay 0")
        for _ in range(self._replicas):
            self._add(self._server(*replicating), self.servers)
        for _ in range(SENTINELS):
            self._add(Sentinel(first, self._kind), self.sentinels)
        self._until(self._acquainted, "the sentinels do not know one another")
        self.replicated()
        return self

    def _server(self, *conf: str) -> RedisServer:
        return RedisServer(RedisOptions(kind=self._kind, durable=self._durable, conf=conf))

    def _add(self, server: RedisServer, to: list) -> RedisServer:
        to.append(server)
        return server.start()

    @property
    def url(self) -> str:
        """As a client writes it: all sentinels, and whom to ask them for."""
        return ";".join(f"sentinel://{HOST}:{one.port}/0?master_name={MASTER}" for one in self.sentinels)

    def master(self) -> RedisServer:
        """The one that says that it is, and that the sentinels say is."""
        told = self.sentinels[0].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return next(server for server in self.servers if f"\r\n{server.port}" in told)

    def replicated(self) -> None:
        """Wait until all replicas have what the master has confirmed by now."""
        master = self.master()
        self._until(lambda: len(_offsets(master)) == self._replicas, "not all replicas follow")
        wanted = int(_facts(master)["master_repl_offset"])
        self._until(
            lambda: sum(offset >= wanted for offset in _offsets(master)) == self._replicas, "a replica lags behind"
        )

    def fail_over(self, *, freeze: bool = False) -> tuple[RedisServer, float]:
        """Kill or freeze the master; answers it, and the unix time from which on another one serves."""
        old = self.master()
        if freeze:
            os.kill(old.pid, signal.SIGSTOP)
        else:
            old.kill()
        self._until(lambda: self._new_master(old), "there is no new master")
        return old, time.time()

    def back(self, old: RedisServer) -> tuple[float, float]:
        """Have the old master back, as a replica of the new one; answers from when to when it took itself for a master
        still."""
        woken = time.time()
        if old.running:
            os.kill(old.pid, signal.SIGCONT)
        else:
            old.start()
        self._until(lambda: _facts(old).get("role") == "slave", "the old master is none's replica")
        demoted = time.time()
        self._until(lambda: _facts(old).get("master_link_status") == "up", "the old master does not follow")
        self.replicated()
        return woken, demoted

    def stop(self) -> None:
        for server in (*self.sentinels, *self.servers):
            if server.running:
                os.kill(server.pid, signal.SIGCONT)
            server.stop()

    def _new_master(self, old: RedisServer) -> bool:
        found = self.master()
        return found is not old and _facts(found).get("role") == "master"

    def _acquainted(self) -> bool:
        wanted = f"slaves={self._replicas},sentinels={SENTINELS}"
        return all(wanted in one.call("INFO", "sentinel") for one in self.sentinels)

    def _until(self, true: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.02)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _facts(server: RedisServer) -> dict[str, str]:
    """What a server says of its replication; nothing while it does not answer."""
    try:
        lines = server.call("INFO", "replication").splitlines()
    except OSError:
        return {}
    return {name: value for name, found, value in (line.partition(":") for line in lines) if found}


def _offsets(master: RedisServer) -> list[int]:
    """How much each replica that follows has acknowledged."""
    told = [value for name, value in _facts(master).items() if re.fullmatch(r"slave\d+", name)]
    replicas = [dict(part.partition("=")[::2] for part in one.split(",")) for one in told]
    return [int(one["offset"]) for one in replicas if one.get("state") == "online"]
