"""The schedule in the process: for tests, and for a single scheduler that is asked for by name. Nothing survives it."""

from leveret.links.memory.server import MemoryServer, server_at
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.model.schedules.entry import Due, Entry, Move, Report, Standing
from leveret.ports.clock import Clock


class MemorySchedules:
    """`ports.schedule.ScheduleStore`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    async def sync(self, source: str, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        with self._server.lock:
            return self._server.schedules.sync(source, entries, self._now())

    async def put(self, entries: tuple[Entry, ...]) -> tuple[Standing | None, ...]:
        with self._server.lock:
            return self._server.schedules.put(entries, self._now())

    async def drop(self, names: tuple[str, ...]) -> tuple[bool, ...]:
        with self._server.lock:
            return self._server.schedules.drop(names)

    async def pause(self, names: tuple[str, ...], paused: bool) -> tuple[bool, ...]:
        with self._server.lock:
            return self._server.schedules.pause(names, paused, self._now())

    async def look(self, names: tuple[str, ...] | None = None, runs: int = 0) -> tuple[Standing | None, ...]:
        with self._server.lock:
            return self._server.schedules.look(names, runs)

    async def due(self, limit: int) -> Due:
        with self._server.lock:
            return self._server.schedules.due(limit, self._now())

    async def take(self, moves: tuple[Move, ...]) -> tuple[bool, ...]:
        with self._server.lock:
            return self._server.schedules.take(moves, self._now())

    async def report(self, reports: tuple[Report, ...]) -> None:
        with self._server.lock:
            self._server.schedules.report(reports, self._now())

    def _now(self) -> float:
        return self._server.clock.now()


class MemoryScheduleDriver:
    """`ports.driver.ScheduleDriver`."""

    def __init__(self, url: Url, options: DriverOptions, clock: Clock, server: MemoryServer | None = None) -> None:
        self._server = server or server_at(url, options, clock)
        self.address = self._server.name

    def schedules(self) -> MemorySchedules:
        return MemorySchedules(self._server)

    async def close(self) -> None:
        return None
