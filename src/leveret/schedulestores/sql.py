"""The schedule in a SQLite file: that of the broker, or of the results where the broker is another server."""

from typing import Any

import msgspec

from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database
from leveret.logic.schedules.ticks import same_times
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.model.schedules.entry import (
    RETRY_SECONDS,
    RUNS_KEPT,
    Due,
    Entry,
    Fire,
    Move,
    Report,
    Run,
    Standing,
)
from leveret.ports.clock import Clock

_ENCODE = msgspec.msgpack.Encoder().encode
_ENTRIES: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)
_FIRES: msgspec.msgpack.Decoder[Fire] = msgspec.msgpack.Decoder(Fire)


class SqlSchedules:
    """`ports.schedule.ScheduleStore`. All processes of the file share the machine's clock, so it is the store's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def sync(self, source: str, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        now, named = self._clock.now(), {entry.name for entry in entries}

        def work(connection: Connection) -> tuple[str, ...]:
            known = connection.execute("schedules_of_source", (source,)).fetchall()
            gone = [name for (name,) in known if name not in named]
            for name in gone:
                _drop(connection, name)
            return tuple(entry.name for entry in entries if _write(connection, entry, now)) + tuple(gone)

        return await self._database.perform(work, durable=True)

    async def put(self, entries: tuple[Entry, ...]) -> tuple[Standing | None, ...]:
        now = self._clock.now()
        return await self._database.perform(
            lambda connection: tuple(_put(connection, entry, now) for entry in entries), durable=True
        )

    async def drop(self, names: tuple[str, ...]) -> tuple[bool, ...]:
        return await self._database.perform(
            lambda connection: tuple(_drop(connection, name) for name in names), durable=True
        )

    async def pause(self, names: tuple[str, ...], paused: bool) -> tuple[bool, ...]:
        now = self._clock.now()
        return await self._database.perform(
            lambda connection: tuple(_pause(connection, name, paused, now) for name in names), durable=True
        )

    async def look(self, names: tuple[str, ...] | None = None, runs: int = 0) -> tuple[Standing | None, ...]:
        def work(connection: Connection) -> tuple[Standing | None, ...]:
            found: tuple[Standing | None, ...]
            if names is None:
                found = tuple(map(_standing, connection.execute("all_schedules").fetchall()))
            else:
                found = tuple(_find(connection, name) for name in names)
            return tuple(_with_runs(connection, standing, runs) for standing in found) if runs else found

        return self._database.read(work)

    async def due(self, limit: int) -> Due:
        now = self._clock.now()
        seen = self._database.peek(lambda connection: _due(connection, now, limit))
        if self._database.peek(lambda connection: _any_orphan(connection, now)):
            fires = await self._database.perform(lambda connection: _hand_on(connection, now, limit))
            return msgspec.structs.replace(seen, fires=fires)
        return seen

    async def take(self, moves: tuple[Move, ...]) -> tuple[bool, ...]:
        now = self._clock.now()
        return await self._database.perform(lambda connection: tuple(_take(connection, move, now) for move in moves))

    async def report(self, reports: tuple[Report, ...]) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            for told in reports:
                connection.execute("drop_fire", (told.name, told.revision, told.moment))
                late = max(now - told.moment, 0.0)
                _note(connection, told.name, Run(id=told.id, moment=told.moment, late=late, outcome=told.outcome))

        await self._database.perform(work)


class SqlScheduleDriver:
    """`ports.driver.ScheduleDriver`. Opens nothing until asked."""

    def __init__(self, url: Url, options: DriverOptions, clock: Clock) -> None:
        self._database, self._clock = Database(url, options.publish_timeout), clock
        self.address = str(self._database.path)

    def schedules(self) -> SqlSchedules:
        return SqlSchedules(self._database, self._clock)

    async def close(self) -> None:
        self._database.close()


# Inside a transaction.


def _write(connection: Connection, entry: Entry, now: float) -> bool:
    row = connection.execute("schedule_of", (entry.name,)).fetchone()
    blob, revision, cursor = _ENCODE(entry), 1, now
    if row is not None:
        if row[2] == blob:
            return False
        known = _standing(row[1:])
        revision = known.revision + 1
        cursor = known.cursor if same_times(known.entry, entry) else max(known.cursor, now)
    connection.execute("save_schedule", (entry.name, entry.source, revision, blob, cursor))
    return True


def _put(connection: Connection, entry: Entry, now: float) -> Standing | None:
    known = _find(connection, entry.name)
    if known is not None and known.entry.source != entry.source:
        return None
    _write(connection, entry, now)
    return _find(connection, entry.name)


def _drop(connection: Connection, name: str) -> bool:
    connection.execute("drop_schedule_runs", (name,))
    return connection.execute("drop_schedule", (name,)).rowcount == 1


def _pause(connection: Connection, name: str, paused: bool, now: float) -> bool:
    if _find(connection, name) is None:
        return False
    if paused:
        connection.execute("pause_schedule", (name,))
    else:
        connection.execute("resume_schedule", (now, name))
    return True


def _find(connection: Connection, name: str) -> Standing | None:
    row = connection.execute("schedule_of", (name,)).fetchone()
    return None if row is None else _standing(row[1:])


def _standing(row: tuple[Any, ...]) -> Standing:
    revision, entry, cursor, due, paused, last, last_moment = row
    return Standing(
        entry=_ENTRIES.decode(entry),
        revision=revision,
        cursor=cursor,
        due=due,
        paused=bool(paused),
        last=last,
        last_moment=last_moment,
    )


def _with_runs(connection: Connection, standing: Standing | None, runs: int) -> Standing | None:
    if standing is None:
        return None
    rows = connection.execute("schedule_runs", (standing.entry.name, runs)).fetchall()
    found = tuple(Run(id=key, moment=moment, late=late, outcome=outcome) for key, moment, late, outcome in rows)
    return msgspec.structs.replace(standing, runs=found)


def _due(connection: Connection, now: float, limit: int) -> Due:
    rows = connection.execute("due_schedules", (now, limit + 1)).fetchall()
    (following,) = connection.execute("next_schedule", (now,)).fetchone()
    return Due(now=now, standings=tuple(map(_standing, rows[:limit])), next=following, more=len(rows) > limit)


def _any_orphan(connection: Connection, now: float) -> bool:
    return bool(connection.execute("any_orphan_fire", (now - RETRY_SECONDS,)).fetchone()[0])


def _hand_on(connection: Connection, now: float, limit: int) -> tuple[Fire, ...]:
    rows = connection.execute("orphan_fires", (now - RETRY_SECONDS, limit)).fetchall()
    fires = tuple(_FIRES.decode(blob) for (blob,) in rows)
    for fire in fires:
        connection.execute("hand_on_fire", (now, fire.entry.name, fire.revision, fire.moment))
    return fires


def _take(connection: Connection, move: Move, now: float) -> bool:
    last = move.fires[-1] if move.fires else None
    facts = (
        move.cursor,
        move.due,
        last and last.id,
        last and last.moment,
        move.name,
        move.revision,
        move.seen,
    )
    if connection.execute("move_schedule", facts).rowcount != 1:
        return False
    for fire in move.fires:
        connection.execute("take_fire", (move.name, fire.revision, fire.moment, _ENCODE(fire), now))
    for run in move.skipped:
        _note(connection, move.name, run)
    return True


def _note(connection: Connection, name: str, run: Run) -> None:
    connection.execute("note_schedule_run", (name, run.id, run.moment, run.late, run.outcome))
    connection.execute("trim_schedule_runs", (name, RUNS_KEPT))
