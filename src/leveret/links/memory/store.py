"""The result-store faces of the in-process server (both drivers of `memory://` hand them out)."""

from collections.abc import Sequence

from msgspec.structs import replace

from leveret.links.memory.bells import LoopWaiter, ThreadWaiter
from leveret.links.memory.server import MemoryServer
from leveret.model.message import Addition
from leveret.model.settlement import Joined, Record, Seat
from leveret.ports.limiting.pauses import Pause


class MemoryBackend:
    """`ports.backend.Backend`, `ClosesJoins` and `GrowsJoins`."""

    closes_joins = True

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        return self._server.store(records)

    async def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        return self._server.get(ids)

    async def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        waiter = LoopWaiter()
        if not listen_unless_ready(self._server, ids, waiter):
            try:
                await waiter.wait(timeout)
            finally:
                stop_listening(self._server, ids, waiter)
        return self._server.get(ids)

    async def arrive(self, seats: tuple[Seat, ...]) -> tuple[Joined, ...]:
        return self._server.arrive(seats)

    async def grow(self, additions: tuple[Addition, ...]) -> tuple[bool, ...]:
        return self._server.grow(additions)

    async def forget(self, ids: Sequence[str]) -> None:
        self._server.forget(ids)

    async def close(self) -> None:
        return None


class MemoryBlockingBackend:
    """`ports.backend.BlockingBackend`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        return self._server.get(ids)

    def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        waiter = ThreadWaiter()
        if not listen_unless_ready(self._server, ids, waiter):
            try:
                waiter.wait(timeout)
            finally:
                stop_listening(self._server, ids, waiter)
        return self._server.get(ids)

    def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        return self._server.store(records)

    def grow(self, additions: tuple[Addition, ...]) -> tuple[bool, ...]:
        return self._server.grow(additions)

    def forget(self, ids: Sequence[str]) -> None:
        self._server.forget(ids)

    def close(self) -> None:
        return None


def listen_unless_ready(server: MemoryServer, ids: Sequence[str], waiter: LoopWaiter | ThreadWaiter) -> bool:
    """Answer True when one of `ids` has ended already; otherwise `waiter` hears of every change to come."""
    with server.lock:
        if any(record is not None and record.terminal for record in server.records.get(ids)):
            return True
        server.results.listen(ids, waiter)
        return False


def stop_listening(server: MemoryServer, ids: Sequence[str], waiter: LoopWaiter | ThreadWaiter) -> None:
    with server.lock:
        server.results.unlisten(ids, waiter)


class MemoryRevocations:
    """`ports.operations.revocations.Revocations`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def revoke(self, marks: Sequence[str], seconds: float) -> None:
        self._server.revoke(marks, seconds)

    async def among(self, marks: Sequence[str]) -> frozenset[str]:
        with self._server.lock:
            return frozenset(filter(self._server.is_revoked, marks))

    async def all(self, limit: int) -> tuple[str, ...]:
        with self._server.lock:
            return tuple(self._server.revoked)[-limit:]


class MemoryPauses:
    """`ports.limiting.pauses.Pauses`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def pause(self, pauses: tuple[Pause, ...]) -> None:
        with self._server.lock:
            for one in pauses:
                before = self._server.pauses.get((one.kind, one.name), one)
                self._server.pauses[one.kind, one.name] = replace(one, since=before.since)

    async def resume(self, kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
        with self._server.lock:
            return tuple(name for name in names if self._server.pauses.pop((kind, name), None) is not None)

    async def all(self) -> tuple[Pause, ...]:
        with self._server.lock:
            return tuple(one for _, one in sorted(self._server.pauses.items()))
