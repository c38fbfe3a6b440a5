"""`ports.outbox` in a SQLite file, for senders whose broker is another server."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database, Work
from leveret.links.sql.messages import ENCODE
from leveret.model.delivery import Posting
from leveret.ports.clock import Clock
from leveret.ports.outbox import Unsent

_DECODE: Callable[[bytes], tuple[Posting, ...]] = msgspec.msgpack.Decoder(tuple[Posting, ...]).decode


class SqlOutbox:
    """The asynchronous face. Inline for a worker's loop, which has no other duty; a caller's hands writes to a
    thread."""

    def __init__(self, database: Database, clock: Clock, *, inline: bool) -> None:
        self._database, self._clock, self._inline = database, clock, inline

    async def intend(self, unsent: Unsent, seconds: float) -> None:
        row = row_of(unsent, self._clock.now() + seconds)
        await self._write(lambda connection: connection.execute("intend", row))

    async def sent(self, ids: tuple[str, ...]) -> None:
        await self._write(lambda connection: forget(connection, ids))

    async def overdue(self, limit: int) -> tuple[Unsent, ...]:
        now = self._clock.now()
        rows = self._database.peek(lambda connection: connection.execute("overdue", (now, limit)).fetchall())
        return tuple(Unsent(id=name, postings=_DECODE(blob)) for name, blob in rows)

    async def _write(self, work: Work[Any]) -> None:
        if self._inline:
            await self._database.perform(work, durable=True)
        else:
            await asyncio.to_thread(self._database.write, work, durable=True)


class SqlBlockingOutbox:
    """The sender's face."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def intend(self, unsent: Unsent, seconds: float) -> None:
        row = row_of(unsent, self._clock.now() + seconds)
        self._database.write(lambda connection: connection.execute("intend", row), durable=True)

    def sent(self, ids: tuple[str, ...]) -> None:
        self._database.write(lambda connection: forget(connection, ids))


def row_of(unsent: Unsent, due: float) -> tuple[Any, ...]:
    return unsent.id, due, ENCODE(unsent.postings)


def forget(connection: Connection, ids: tuple[str, ...]) -> None:
    connection.executemany("forget_intent", [(key,) for key in ids])
