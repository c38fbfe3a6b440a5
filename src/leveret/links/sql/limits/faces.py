"""Limits in a SQLite file: `ports.limiting.gate`. A batch is one transaction; a power cut may lose the last ones, as it
ends what they were about."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from leveret.errors import LeaseLost
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database, Work
from leveret.links.sql.fleet.pauses import SqlPauses
from leveret.links.sql.limits.book import SqlBook, decode, prune
from leveret.logic.limiting import breaker, entering, wishing
from leveret.logic.limiting.states import BreakerState
from leveret.model.delivery import SessionId
from leveret.model.limiting.gate import Answer, BoundState, Entry, Exit, Grant, Reason, Wish
from leveret.ports.clock import Clock

T = TypeVar("T")
PRUNE_SECONDS = 10.0


class SqlGate:
    """`ports.limiting.gate.Gate`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._pruned = 0.0

    async def enter(self, session: SessionId, entries: tuple[Entry, ...]) -> tuple[Answer, ...]:
        def work(connection: Connection) -> tuple[Answer, ...]:
            # Not before it is this process's turn: moments must follow one another as transactions do.
            now = self._clock.now()
            if now - self._pruned > PRUNE_SECONDS:
                self._pruned = now
                prune(connection, now)
            book = SqlBook(connection, now)
            if not book.alive(session):
                raise LeaseLost(f"session {session} is not registered, or was reaped")
            answers = tuple(entering.enter(book, entry, session, now) for entry in entries)
            book.close()
            return answers

        return await self._database.perform(work) if entries else ()

    async def leave(self, session: SessionId, exits: tuple[Exit, ...], succeeded: Mapping[str, int]) -> None:
        def work(connection: Connection) -> None:
            now = self._clock.now()
            book = SqlBook(connection, now)
            for over in exits:
                entering.leave(book, over, session, now)
            for key, count in succeeded.items():
                entering.succeed(book, key, count, now)
            book.close()

        if exits or succeeded:
            await self._database.perform(work)


class SqlInsight:
    """`ports.limiting.gate.Insight`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def reasons(self, ids: Sequence[str]) -> tuple[Reason | None, ...]:
        rows = self._database.read(
            lambda connection: connection.execute("find_reasons", (json.dumps(list(ids)),)).fetchall()
        )
        found = {
            row[0]: Reason(id=row[0], bound=row[1], key=row[2], until=row[3], at=row[4], ahead=row[5]) for row in rows
        }
        return tuple(map(found.get, ids))

    def states(self, limit: int) -> tuple[BoundState, ...]:
        return self._database.read(lambda connection: shown(connection, self._clock.now()))[:limit]


def shown(connection: Connection, now: float) -> tuple[BoundState, ...]:
    """All keys behind which something stands, the longest line first."""
    lines = {(kind, key): count for kind, key, count in connection.execute("all_lines").fetchall()}
    held = {("slots", key): count for key, count in connection.execute("all_holders").fetchall()}
    cut = {("breaker", key): decode(blob, BreakerState) for key, blob in connection.execute("all_breakers").fetchall()}
    opened = {name: state for name, state in cut.items() if state.until}
    found = [
        BoundState(
            bound=kind,
            key=key,
            waiting=lines.get((kind, key), 0),
            held=held.get((kind, key), 0),
            state=breaker.shown(opened.get((kind, key), BreakerState()), now) if kind == "breaker" else "",
            until=opened[kind, key].until if (kind, key) in opened and opened[kind, key].until > now else None,
        )
        for kind, key in {*lines, *held, *opened}
    ]
    return tuple(sorted(found, key=lambda state: (-state.waiting, state.bound, state.key)))


class KeyWork:
    """What the faces of unique keys do in a transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def wish(self, wishes: tuple[Wish, ...], pending_seconds: float) -> Work[tuple[Grant, ...]]:
        return self._each(lambda book, wished, now: wishing.wish(book, wished, pending_seconds, now), wishes)

    def sent(self, wishes: tuple[Wish, ...]) -> Work[tuple[None, ...]]:
        return self._each(wishing.sent, wishes)

    def unsent(self, wishes: tuple[Wish, ...]) -> Work[tuple[None, ...]]:
        return self._each(lambda book, wished, now: wishing.unsent(book, wished), wishes)

    def _each(self, step: Callable[[SqlBook, Wish, float], T], wishes: tuple[Wish, ...]) -> Work[tuple[T, ...]]:
        def work(connection: Connection) -> tuple[T, ...]:
            now = self._clock.now()
            book = SqlBook(connection, now)
            answers = tuple(step(book, wished, now) for wished in wishes)
            book.close()
            return answers

        return work


class SqlKeys:
    """`ports.limiting.gate.Keys`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._work = database, KeyWork(clock)

    def wish(self, wishes: tuple[Wish, ...], pending_seconds: float) -> tuple[Grant, ...]:
        return self._database.write(self._work.wish(wishes, pending_seconds))

    def sent(self, wishes: tuple[Wish, ...]) -> None:
        self._database.write(self._work.sent(wishes))

    def unsent(self, wishes: tuple[Wish, ...]) -> None:
        self._database.write(self._work.unsent(wishes))


class SqlAsyncKeys:
    """`ports.limiting.gate.AsyncKeys`. Inline for a worker's loop; a caller's hands writes to a thread."""

    def __init__(self, database: Database, clock: Clock, *, inline: bool) -> None:
        self._database, self._work, self._inline = database, KeyWork(clock), inline

    async def wish(self, wishes: tuple[Wish, ...], pending_seconds: float) -> tuple[Grant, ...]:
        return await self._write(self._work.wish(wishes, pending_seconds))

    async def sent(self, wishes: tuple[Wish, ...]) -> None:
        await self._write(self._work.sent(wishes))

    async def unsent(self, wishes: tuple[Wish, ...]) -> None:
        await self._write(self._work.unsent(wishes))

    async def _write(self, work: Work[T]) -> T:
        if self._inline:
            return await self._database.perform(work)
        return await asyncio.to_thread(self._database.write, work)


class KeepsLimits:
    """`ports.limiting.gate.Limiting` of a driver on a file: what its broker and its store have in common."""

    _database: Database
    _clock: Clock

    def gate(self) -> SqlGate:
        return SqlGate(self._database, self._clock)

    def insight(self) -> SqlInsight:
        return SqlInsight(self._database, self._clock)

    def keys(self) -> SqlKeys:
        return SqlKeys(self._database, self._clock)

    def async_keys(self, *, inline: bool = True) -> SqlAsyncKeys:
        return SqlAsyncKeys(self._database, self._clock, inline=inline)

    def pauses(self) -> SqlPauses:
        return SqlPauses(self._database)
