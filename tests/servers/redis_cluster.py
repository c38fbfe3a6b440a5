"""A Redis Cluster of three masters, each a process of its own; slots can be moved from one to another."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.servers.host.ports import HOST, Port, claim_port
from tests.servers.redis import RedisOptions, RedisServer

SLOTS = 16_384
PATIENCE = 30.0


class RedisCluster:
    """`nodes` by number: 0, 1, 2; each begins with a third of the slots."""

    def __init__(self, kind: str = "redis", size: int = 3) -> None:
        self._buses: list[Port] = [claim_port() for _ in range(size)]
        lines = ("cluster-enabled yes", "cluster-node-timeout 2000", "cluster-require-full-coverage no")
        self.nodes = [
            RedisServer(RedisOptions(kind=kind, conf=(*lines, f"cluster-port {bus.number}"))) for bus in self._buses
        ]

    @property
    def url(self) -> str:
        """As a client writes it: two of its nodes are enough."""
        return ";".join(f"redis-cluster://{HOST}:{node.port}" for node in self.nodes[:2])

    def start(self) -> Self:
        """Start all, and wait until each knows who has which slot."""
        edges = [SLOTS * place // len(self.nodes) for place in range(len(self.nodes) + 1)]
        for place, node in enumerate(self.nodes):
            node.start()
            node.call("CLUSTER", "SET-CONFIG-EPOCH", str(place + 1))
            node.call("CLUSTER", "ADDSLOTSRANGE", str(edges[place]), str(edges[place + 1] - 1))
        first = self.nodes[0]
        for node, bus in zip(self.nodes[1:], self._buses[1:], strict=True):
            first.call("CLUSTER", "MEET", HOST, str(node.port), str(bus.number))
        self.settled()
        return self

    def settled(self) -> None:
        """Wait until every node serves, and knows that all others do."""
        self._until(lambda: all(self._knows_all(node) for node in self.nodes), "the cluster does not come together")

    def owner(self, slot: int) -> int:
        """The number of the node that has a slot, by its own word."""
        return next(place for place, node in enumerate(self.nodes) if slot in self._own(node))

    def begin_to_move(self, slot: int, to: int) -> None:
        """From now on keys that are not there any more are asked for at the next owner (`ASK`)."""
        old, new = self.nodes[self.owner(slot)], self.nodes[to]
        new.call("CLUSTER", "SETSLOT", str(slot), "IMPORTING", self._name(old))
        old.call("CLUSTER", "SETSLOT", str(slot), "MIGRATING", self._name(new))

    def end_move(self, slot: int, to: int) -> None:
        """Take the keys along that are there still, and tell everybody (`MOVED`)."""
        old, new = self.nodes[self.owner(slot)], self.nodes[to]
        for key in self._keys(old, slot):
            old.call("MIGRATE", HOST, str(new.port), key, "0", "5000")
        for node in (new, old, *self.nodes):
            node.call("CLUSTER", "SETSLOT", str(slot), "NODE", self._name(new))

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()
        for bus in self._buses:
            bus.release()

    def _knows_all(self, node: RedisServer) -> bool:
        told = node.call("CLUSTER", "INFO")
        return all(line in told for line in ("cluster_state:ok", f"cluster_slots_ok:{SLOTS}"))

    @staticmethod
    def _name(node: RedisServer) -> str:
        return node.call("CLUSTER", "MYID").split()[-1]

    @staticmethod
    def _keys(node: RedisServer, slot: int) -> list[str]:
        told = node.call("CLUSTER", "GETKEYSINSLOT", str(slot), "1000")
        return [line for line in told.split("\r\n") if line and line[0] not in "*$"]

    def _own(self, node: RedisServer) -> set[int]:
        told = node.call("CLUSTER", "NODES")
        words = next(line for line in told.splitlines() if "myself" in line).split()[8:]
        slots: set[int] = set()
        for word in words:
            if not word.startswith("["):
                first, _, last = word.partition("-")
                slots.update(range(int(first), int(last or first) + 1))
        return slots

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
