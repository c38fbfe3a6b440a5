"""The result-store faces of the file; both drivers of `sqlite://` hand them out, and siblings do not see each other."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from leveret.links.sql import results
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database, Work
from leveret.links.sql.waiting import Watch, wait, wait_on_loop
from leveret.model.message import Addition
from leveret.model.options import DriverOptions
from leveret.model.settlement import Joined, Record, Seat
from leveret.ports.clock import Clock

T = TypeVar("T")


class SqlBackend:
    """`ports.backend.Backend`. Inline for a worker's I/O loop, which has no other duty; a caller's loop hands the
    writes to a thread. It is `ClosesJoins` and
    `GrowsJoins`."""

    closes_joins = True

    def __init__(self, database: Database, options: DriverOptions, clock: Clock, *, inline: bool = True) -> None:
        self._database, self._options, self._clock, self._inline = database, options, clock, inline

    async def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        now = self._clock.now()

        def work(connection: Connection) -> tuple[bool, ...]:
            return tuple(results.store(connection, record, now, self._options) for record in records)

        return await self._write(work)

    async def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        return get(self._database, ids, self._clock.now())

    async def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        return await wait_on_loop(Watch(self._database, self._clock, ids), timeout)

    async def arrive(self, seats: tuple[Seat, ...]) -> tuple[Joined, ...]:
        now = self._clock.now()

        def work(connection: Connection) -> tuple[Joined, ...]:
            return tuple(results.arrive(connection, seat, now, self._options) for seat in seats)

        return await self._write(work)

    async def grow(self, additions: tuple[Addition, ...]) -> tuple[bool, ...]:
        return await self._write(lambda connection: tuple(results.grow(connection, one) for one in additions))

    async def forget(self, ids: Sequence[str]) -> None:
        await self._write(lambda connection: results.forget(connection, ids))

    async def close(self) -> None:
        """The driver's connections belong to all its parts: `SqlDriver.close` closes them."""

    async def _write(self, work: Work[T]) -> T:
        if self._inline:
            return await self._database.perform(work)
        return await asyncio.to_thread(self._database.write, work)


class SqlBlockingBackend:
    """`ports.backend.BlockingBackend`: on the calling thread."""

    def __init__(self, database: Database, options: DriverOptions, clock: Clock) -> None:
        self._database, self._options, self._clock = database, options, clock

    def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        return get(self._database, ids, self._clock.now())

    def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        return wait(Watch(self._database, self._clock, ids), timeout)

    def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        now = self._clock.now()

        def work(connection: Connection) -> tuple[bool, ...]:
            return tuple(results.store(connection, record, now, self._options) for record in records)

        return self._database.write(work)

    def grow(self, additions: tuple[Addition, ...]) -> tuple[bool, ...]:
        return self._database.write(lambda connection: tuple(results.grow(connection, one) for one in additions))

    def forget(self, ids: Sequence[str]) -> None:
        self._database.write(lambda connection: results.forget(connection, ids))

    def close(self) -> None:
        self._database.close()


def get(database: Database, ids: Sequence[str], now: float) -> tuple[Record | None, ...]:
    return database.read(lambda connection: results.get(connection, ids, now)) if ids else ()
