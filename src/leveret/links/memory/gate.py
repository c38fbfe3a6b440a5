"""The faces of the limits in memory: `ports.limiting.gate`."""

from collections.abc import Mapping, Sequence

from leveret.errors import LeaseLost
from leveret.links.memory.server import MemoryServer
from leveret.logic.limiting import entering, wishing
from leveret.model.delivery import SessionId
from leveret.model.limiting.gate import Answer, BoundState, Entry, Exit, Grant, Reason, Wish


class MemoryGate:
    """`ports.limiting.gate.Gate`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def enter(self, session: SessionId, entries: tuple[Entry, ...]) -> tuple[Answer, ...]:
        with self._server.lock:
            limits, now = self._server.limits, self._server.clock.now()
            if entries and not limits.alive(session):
                raise LeaseLost(f"session {session} is not registered, or was reaped")
            return tuple(entering.enter(limits, entry, session, now) for entry in entries)

    async def leave(self, session: SessionId, exits: tuple[Exit, ...], succeeded: Mapping[str, int]) -> None:
        with self._server.lock:
            limits, now = self._server.limits, self._server.clock.now()
            for over in exits:
                entering.leave(limits, over, session, now)
            for key, count in succeeded.items():
                entering.succeed(limits, key, count, now)


class MemoryInsight:
    """`ports.limiting.gate.Insight`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    def reasons(self, ids: Sequence[str]) -> tuple[Reason | None, ...]:
        with self._server.lock:
            return tuple(map(self._server.limits.reason, ids))

    def states(self, limit: int) -> tuple[BoundState, ...]:
        with self._server.lock:
            return self._server.limits.shown(limit, self._server.clock.now())


class MemoryKeys:
    """`ports.limiting.gate.Keys`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    def wish(self, wishes: tuple[Wish, ...], pending_seconds: float) -> tuple[Grant, ...]:
        with self._server.lock:
            limits, now = self._server.limits, self._server.clock.now()
            return tuple(wishing.wish(limits, wished, pending_seconds, now) for wished in wishes)

    def sent(self, wishes: tuple[Wish, ...]) -> None:
        with self._server.lock:
            limits, now = self._server.limits, self._server.clock.now()
            for wished in wishes:
                wishing.sent(limits, wished, now)

    def unsent(self, wishes: tuple[Wish, ...]) -> None:
        with self._server.lock:
            for wished in wishes:
                wishing.unsent(self._server.limits, wished)


class MemoryAsyncKeys:
    """`ports.limiting.gate.AsyncKeys`."""

    def __init__(self, server: MemoryServer) -> None:
        self._keys = MemoryKeys(server)

    async def wish(self, wishes: tuple[Wish, ...], pending_seconds: float) -> tuple[Grant, ...]:
        return self._keys.wish(wishes, pending_seconds)

    async def sent(self, wishes: tuple[Wish, ...]) -> None:
        self._keys.sent(wishes)

    async def unsent(self, wishes: tuple[Wish, ...]) -> None:
        self._keys.unsent(wishes)
