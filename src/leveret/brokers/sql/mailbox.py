"""Remote control in a SQLite file: a row for each command and answer, and a bell for each who waits for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import msgspec

from leveret.errors import BrokerError
from leveret.links.sql.bell import Bell
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database, Work
from leveret.model.remote.command import Parcel
from leveret.ports.clock import Clock
from leveret.ports.operations.mailbox import Hear

ALL = ""
"""The box of commands to every node."""
KEPT_SECONDS = 60.0
"""A command that nobody has heard by then is not heard any more."""
LOOK_SECONDS, INBOX_LOOK_SECONDS = 5.0, 0.5
"""Behind the bell a listener looks, which costs one statement."""
BELL_SECONDS = 3600.0
"""How often a listener says again where it is; whose word is a day old is gone."""
_GONE_SECONDS = 86_400.0
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE: Callable[[bytes], Parcel] = msgspec.msgpack.Decoder(Parcel).decode


class SqlMailbox:
    """`ports.operations.mailbox.Mailbox`. Writes go to a thread: the loop may be one that serves others."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def listen(self, node: str, hear: Hear) -> None:
        async with self._box(ALL) as box:
            said = self._clock.monotonic()
            while True:
                for parcel in await box.take(LOOK_SECONDS):
                    hear(parcel)
                if self._clock.monotonic() - said > BELL_SECONDS:
                    said = self._clock.monotonic()
                    await self._write(box.open)

    async def broadcast(self, parcels: tuple[Parcel, ...]) -> None:
        await self._put(ALL, parcels)

    async def answer(self, address: str, parcels: tuple[Parcel, ...]) -> None:
        await self._put(address, parcels)

    def inbox(self) -> Any:
        return self._box(str(uuid4()))

    async def close(self) -> None:
        return None

    async def _put(self, box: str, parcels: tuple[Parcel, ...]) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            connection.execute("prune_parcels", (now - KEPT_SECONDS,))
            connection.execute("prune_boxes", (now - _GONE_SECONDS,))
            connection.executemany("put_parcel", [(box, now, _ENCODE(parcel)) for parcel in parcels])
            connection.rings.update(address for (address,) in connection.execute("bells_of_box", (box,)))

        await self._write(work)

    async def _write(self, work: Work[Any]) -> None:
        await asyncio.to_thread(self._database.write, work)

    @asynccontextmanager
    async def _box(self, name: str) -> AsyncIterator["SqlBox"]:
        box = SqlBox(self._database, self._clock, name)
        await self._write(box.open)
        try:
            yield box
        finally:
            box.bell.close()
            with suppress(BrokerError):
                await self._write(box.close)


class SqlBox:
    """`ports.operations.mailbox.Inbox`, and what a listener reads from."""

    def __init__(self, database: Database, clock: Clock, name: str) -> None:
        self._database, self._clock, self.address = database, clock, name
        self.bell = Bell()
        self._last: int | None = None

    def open(self, connection: Connection) -> None:
        """Inside a transaction, so that nothing falls between."""
        if self._last is None:
            (self._last,) = connection.execute("last_parcel").fetchone()
        connection.execute("open_box", (self.bell.address, self.address, self._clock.now()))

    def close(self, connection: Connection) -> None:
        connection.execute("close_box", (self.bell.address,))
        if self.address != ALL:
            connection.execute("empty_box", (self.address,))

    async def take(self, timeout: float) -> tuple[Parcel, ...]:
        end = self._clock.monotonic() + timeout
        most = timeout if self.address == ALL else INBOX_LOOK_SECONDS
        while True:
            heard = self.bell.generation
            if found := self._look():
                return found
            left = end - self._clock.monotonic()
            if left <= 0:
                return ()
            await self.bell.listen(heard, min(left, most))

    def _look(self) -> tuple[Parcel, ...]:
        last = self._last or 0
        rows = self._database.read(lambda connection: connection.execute("read_box", (self.address, last)).fetchall())
        if rows:
            self._last = rows[-1][0]
        return tuple(_DECODE(blob) for _, blob in rows)
