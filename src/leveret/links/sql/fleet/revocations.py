"""`ports.operations.revocations` in a SQLite file: a row for each mark, beside the results that say REVOKED."""

import asyncio
import json
from collections.abc import Sequence

from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database
from leveret.ports.clock import Clock


class SqlRevocations:
    """Writes go to a thread: the loop may be one that serves others."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def revoke(self, marks: Sequence[str], seconds: float) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            connection.execute("prune_revocations", (now,))
            connection.executemany("revoke_mark", [(mark, now + seconds) for mark in marks])

        await asyncio.to_thread(self._database.write, work, durable=True)

    async def among(self, marks: Sequence[str]) -> frozenset[str]:
        return self._database.read(lambda connection: among(connection, marks)) if marks else frozenset()

    async def all(self, limit: int) -> tuple[str, ...]:
        rows = self._database.read(lambda connection: connection.execute("all_revoked", (limit,)).fetchall())
        return tuple(mark for (mark,) in rows)


def among(connection: Connection, marks: Sequence[str]) -> frozenset[str]:
    """Those of the marks that are revoked, by a row of their own or by a stored outcome."""
    return frozenset(row[0] for row in connection.execute("revoked_of", {"marks": json.dumps(list(marks))}))
