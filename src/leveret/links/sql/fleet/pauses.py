"""`ports.limiting.pauses` in a SQLite file: a row for each."""

import asyncio

from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database
from leveret.ports.limiting.pauses import Pause


class SqlPauses:
    """Writes go to a thread: the loop may be one that serves others. A look is a few microseconds, once a second."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pause(self, pauses: tuple[Pause, ...]) -> None:
        rows = [(one.kind, one.name, one.since, one.by) for one in pauses]
        await asyncio.to_thread(
            self._database.write, lambda connection: connection.executemany("pause", rows), durable=True
        )

    async def resume(self, kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
        def work(connection: Connection) -> tuple[str, ...]:
            return tuple(name for name in names if connection.execute("resume", (kind, name)).fetchall())

        return await asyncio.to_thread(self._database.write, work, durable=True)

    async def all(self) -> tuple[Pause, ...]:
        rows = self._database.read(lambda connection: connection.execute("all_paused").fetchall())
        return tuple(Pause(kind=kind, name=name, since=since, by=by) for kind, name, since, by in rows)
