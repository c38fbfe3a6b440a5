"""Upkeep in small steps: the tick, what is due, what has expired, the size of the files."""

import asyncio
import math

from leveret.links.sql import messages
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database
from leveret.links.sql.fleet.lease import tick
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock

TICK_SECONDS = 1.0
PROMOTE_STEP = 500
PRUNE_STEP = 200
"""Rows looked at, and at most forgotten, in one transaction: about 2 ms, so that no claim waits long behind it."""
WALK_AT_ONCE = 0.1
"""When at least this share of a step had expired the walk goes on at once."""
WALK_REST_SECONDS = 60.0
VACUUM_STEP = 200
"""Pages given back to the file system in one transaction."""
HOLLOW_PAGES, HOLLOW_SHARE = 2000, 4
"""The file is cut when more than 8 MB and a quarter of it are free."""
WAL_BYTES = 64 * 1024 * 1024
BUSY_SECONDS = 0.02
"""The pause between two steps while there is more to do: others write in between."""


class SqlChores:
    """`ports.leases.Chores`. Any process may run it, and any number of them."""

    def __init__(self, database: Database, options: DriverOptions, clock: Clock) -> None:
        self._database, self._options, self._clock = database, options, clock
        self._walk = Walk(database)
        self._shrunk = False

    async def upkeep(self) -> float:
        now = self._clock.now()
        more = False
        if self._database.peek(lambda connection: self._is_due(connection, now)):
            more = await self._database.perform(lambda connection: self._step(connection, now))
        await asyncio.sleep(0)
        if self._database.peek(lambda connection: self._expired(connection, now)):
            await self._database.perform(lambda connection: self._prune(connection, now))
            more = True
        if await self._walk.step(now):
            more = True
        else:
            more = self._database.peek(self._shrink) or more
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
        connection.execute("prune_dead", (self._oldest_letter(now), PRUNE_STEP))
        # A join at a time: each may have thousands of seats.
        for (join,) in connection.execute("expired_joins", (now, 1)).fetchall():
            connection.execute("drop_seats", (join,))
            connection.execute("drop_members", (join,))
            connection.execute("drop_join", (join,))

    def _shrink(self, connection: Connection) -> bool:
        """Give free pages back, some at a time; the file itself gets shorter with the checkpoint after the last."""
        if is_hollow(connection):
            self._shrunk = connection.exclusively(f"incremental_vacuum({VACUUM_STEP})") or self._shrunk
            return True
        if self._shrunk:
            self._shrunk = False
            connection.pragma("wal_checkpoint(PASSIVE)")
        return False

    def _truncate(self) -> None:
        """Cut the WAL past its bound: a reader that stayed too long had kept it from starting over."""
        try:
            size = self._database.wal_path.stat().st_size
        except OSError:
            return
        if size > WAL_BYTES:
            self._database.peek(lambda connection: connection.exclusively("wal_checkpoint(TRUNCATE)"))


class Walk:
    """Forgets results, walking the table in the order of its pages: neighbours go together, so a step dirties a dozen
    pages where the order of expiry would dirty two hundred. Readers never see an expired row that still stands."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = ""
        self._earliest = math.inf
        """The first moment at which anything seen in this round expires."""
        self._rest_until = 0.0

    async def step(self, now: float) -> bool:
        """Look at the next rows and forget what has expired; True when there is probably more."""
        if now < self._rest_until:
            return False
        rows = self._database.peek(
            lambda connection: connection.execute("walk_results", (self._place, PRUNE_STEP)).fetchall()
        )
        expired = [(key, now) for key, expires in rows if expires is not None and expires <= now]
        if expired:
            await self._database.perform(lambda connection: connection.executemany("drop_expired", expired))
        self._earliest = min([self._earliest, *(e for _, e in rows if e is not None and e > now)])
        if len(rows) == PRUNE_STEP:
            self._place = rows[-1][0]
            return len(expired) >= PRUNE_STEP * WALK_AT_ONCE
        self._rest_until = min(self._earliest, now + WALK_REST_SECONDS)
        self._place, self._earliest = "", math.inf
        return False


def is_hollow(connection: Connection) -> bool:
    """Whether much of the file is free. Some free pages are good: the next messages are written into them."""
    free = int(connection.pragma("freelist_count"))
    return free > HOLLOW_PAGES and free * HOLLOW_SHARE > int(connection.pragma("page_count"))
