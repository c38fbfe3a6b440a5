"""Waiting for results: a bell where one is bound, and behind it the file's own change counter."""

import asyncio
import time
from collections.abc import Sequence

from leveret.links.sql import results
from leveret.links.sql.bell import Bell
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database
from leveret.model.settlement import Record
from leveret.ports.clock import Clock

FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05
BELL_PAUSE = 0.5
"""How often a waiter with a bell looks by itself."""

Records = tuple[Record | None, ...]


class Watch:
    """One wait for one set of ids: what was known at its start, and when to look again."""

    def __init__(self, database: Database, clock: Clock, ids: Sequence[str]) -> None:
        self._database, self._clock, self._ids = database, clock, tuple(ids)
        self._bell: Bell | None = database.reply_bell() if database.has_reply_bell else None
        self._pause = FIRST_PAUSE
        self.heard = self._bell.generation if self._bell else 0
        self._changes = -1
        self.records: Records = ()
        self._first = self.look()

    @property
    def over(self) -> bool:
        """Whether one of the ids has ended, or has changed since the wait began."""
        return self.records != self._first or any(record is not None and record.terminal for record in self.records)

    def look(self) -> Records:
        """Read again, when anything was committed since."""

        def work(connection: Connection) -> Records:
            changes = connection.changes()
            if changes == self._changes:
                return self.records
            self._changes = changes
            return results.get(connection, self._ids, self._clock.now())

        self.records = self._database.read(work)
        return self.records

    def pause(self, left: float) -> float:
        """Answer how long to wait before the next look."""
        if self._bell is not None:
            return min(BELL_PAUSE, left)
        self._pause = min(self._pause * 1.3, LONGEST_PAUSE)
        return min(self._pause, left)

    def rest(self, seconds: float) -> None:
        if self._bell is None:
            time.sleep(seconds)
            return
        self._bell.wait(self.heard, seconds)
        self.heard = self._bell.generation

    async def rest_on_loop(self, seconds: float) -> None:
        if self._bell is None:
            await asyncio.sleep(seconds)
            return
        await self._bell.listen(self.heard, seconds)
        self.heard = self._bell.generation


def wait(watch: Watch, timeout: float) -> Records:
    end = time.monotonic() + timeout
    while not watch.over and (left := end - time.monotonic()) > 0:
        watch.rest(watch.pause(left))
        watch.look()
    return watch.records


async def wait_on_loop(watch: Watch, timeout: float) -> Records:
    end = time.monotonic() + timeout
    while not watch.over and (left := end - time.monotonic()) > 0:
        await watch.rest_on_loop(watch.pause(left))
        watch.look()
    return watch.records
