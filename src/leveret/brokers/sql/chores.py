"""Upkeep in small steps: the tick, what is due, what has expired, the size of the files."""

import asyncio

from leveret.brokers.sql.leases import tick
from leveret.links.sql import messages
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock

TICK_SECONDS = 1.0
PROMOTE_STEP = 500
PRUNE_STEP = 300
"""Rows forgotten in one transaction: about 4 ms, so that no claim waits long behind it."""
VACUUM_STEP = 500
"""Pages given back to the file system in one transaction."""
WAL_BYTES = 64 * 1024 * 1024
BUSY_SECONDS = 0.02
"""The pause between two steps while there is more to do: others write in between."""


class SqlChores:
    """`ports.leases.Chores`. Any process may run it, and any number of them."""

    def __init__(self, database: Database, options: DriverOptions, clock: Clock) -> None:
        self._database, self._options, self._clock = database, options, clock

    async def upkeep(self) -> float:
        now = self._clock.now()
        more = False
        if self._database.peek(lambda connection: self._is_due(connection, now)):
            more = await self._database.perform(lambda connection: self._step(connection, now))
        await asyncio.sleep(0)
        if self._database.peek(lambda connection: self._expired(connection, now)):
            await self._database.perform(lambda connection: self._prune(connection, now))
            more = True
        elif self._database.peek(lambda connection: connection.pragma("freelist_count")) > VACUUM_STEP:
            await self._database.perform(shrink)
            more = True
        self._truncate()
        return BUSY_SECONDS if more else self._until_due(now)

    def _is_due(self, connection: Connection, now: float) -> bool:
        last, _ = connection.execute("read_fleet").fetchone()
        due = messages.next_due(connection)
        return last is None or abs(now - last) >= TICK_SECONDS or (due is not None and due <= now)

    def _step(self, connection: Connection, now: float) -> bool:
        tick(connection, now, self._options)
        return messages.promote(connection, now, PROMOTE_STEP) == PROMOTE_STEP

    def _until_due(self, now: float) -> float:
        due = self._database.peek(messages.next_due)
        most = self._options.poll_seconds
        return most if due is None else min(max(due - now, 0.0), most)

    def _oldest_letter(self, now: float) -> float:
        seconds = self._options.dead_letter_expires
        return float("-inf") if seconds is None else now - seconds

    def _expired(self, connection: Connection, now: float) -> bool:
        return bool(connection.execute("any_expired", (now, self._oldest_letter(now))).fetchone()[0])

    def _prune(self, connection: Connection, now: float) -> None:
        connection.execute("prune_results", (now, PRUNE_STEP))
        connection.execute("prune_dead", (self._oldest_letter(now), PRUNE_STEP))
        # A join at a time: each may have thousands of seats.
        for (join,) in connection.execute("expired_joins", (now, 1)).fetchall():
            connection.execute("drop_seats", (join,))
            connection.execute("drop_join", (join,))

    def _truncate(self) -> None:
        """Cut the WAL past its bound: a reader that stayed too long had kept it from starting over."""
        try:
            size = self._database.wal_path.stat().st_size
        except OSError:
            return
        if size > WAL_BYTES:
            self._database.peek(lambda connection: connection.exclusively("wal_checkpoint(TRUNCATE)"))


def shrink(connection: Connection) -> None:
    connection.pragma(f"incremental_vacuum({VACUUM_STEP})")
