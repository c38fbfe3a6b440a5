"""What an operator asks of the file."""

import asyncio
from functools import partial
from typing import Any, TypeVar

from leveret.links.sql import messages
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database, Work
from leveret.links.sql.lanes.entering import Newcomers
from leveret.model.delivery import DeadLetter, Place, QueueCounts, Whereabouts
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock

T = TypeVar("T")

PURGE_STEP = 2000
LEVELS = range(messages.URGENT + 1)


class SqlAdmin:
    """`ports.admin.Admin`."""

    def __init__(self, database: Database, options: DriverOptions, clock: Clock) -> None:
        self._database, self._options, self._clock = database, options, clock

    async def declare(self, queues: tuple[str, ...]) -> None:
        def work(connection: Connection) -> None:
            for name in queues:
                connection.queue(name)

        await self._write(work)

    async def counts(self, queues: tuple[str, ...] = ()) -> tuple[QueueCounts, ...]:
        return self._database.read(lambda connection: count(connection, queues))

    async def find(self, ids: tuple[str, ...]) -> tuple[Whereabouts | None, ...]:
        return self._database.read(lambda connection: tuple(find(connection, key) for key in ids))

    async def trace(self, id: str, depth: int) -> Whereabouts | None:
        return self._database.read(lambda connection: trace(connection, id, depth))

    async def sample(self, limit: int) -> tuple[tuple[str, str], ...]:
        rows = self._database.read(lambda connection: connection.execute("sample_waiting", (limit,)).fetchall())
        return tuple((queue, str(messages.read_encoded(blob).headers.get("task", "?"))) for queue, blob in rows)

    async def delayed(self, queues: tuple[str, ...], limit: int) -> tuple[Whereabouts, ...]:
        return self._database.read(lambda connection: delayed(connection, queues, limit))

    async def purge(self, queues: tuple[str, ...]) -> int:
        """In steps, so that workers of other queues go on."""
        gone = 0
        for name in queues:
            while step := await self._write(partial(purge_step, name=name)):
                gone += step
                await asyncio.sleep(0)
        return gone

    async def dead(self, queue: str | None = None, limit: int = 100) -> tuple[DeadLetter, ...]:
        rows = self._database.read(lambda connection: connection.execute("read_dead", (queue, queue, limit)).fetchall())
        return tuple(map(messages.read_letter, rows))

    async def redrive(self, ids: tuple[str, ...]) -> int:
        now = self._clock.now()
        return await self._write(lambda connection: sum(redrive(connection, key, now) for key in ids))

    async def bury(self, ids: tuple[str, ...]) -> int:
        return await self._write(lambda connection: connection.executemany("bury", [(key,) for key in ids]))

    async def _write(self, work: Work[T]) -> T:
        return await self._database.perform(work)


def count(connection: Connection, queues: tuple[str, ...]) -> tuple[QueueCounts, ...]:
    names = queues or tuple(name for (name,) in connection.execute("all_queues").fetchall())
    delayed: dict[int, int] = dict(connection.execute("count_delayed").fetchall())
    claimed: dict[int, int] = dict(connection.execute("count_claimed").fetchall())
    unsorted = {row[0]: row[1:] for row in connection.execute("count_unsorted").fetchall()}
    dead: dict[int, int] = dict(connection.execute("count_dead").fetchall())

    def one(name: str) -> QueueCounts:
        number = connection.known_queue(name)
        if number is None:
            return QueueCounts(queue=name)
        fresh, sent = unsorted.get(number, (0, None))
        ready = [connection.execute("count_ready", (suspect, number)).fetchone()[0] for suspect in (0, 1)]
        ready += connection.execute("count_turns", (number,)).fetchone()
        return QueueCounts(
            queue=name,
            ready=sum(ready) + fresh,
            delayed=delayed.get(number, 0),
            claimed=claimed.get(number, 0),
            dead=dead.get(number, 0),
            oldest=oldest(connection, number) if any(ready) else sent,
        )

    return tuple(map(one, names))


def find(connection: Connection, id: str) -> Whereabouts | None:
    if row := connection.execute("find_claimed", (id,)).fetchone():
        return Whereabouts(place=Place.CLAIMED, queue=row[0], node=row[1])
    if row := connection.execute("find_delayed", (id,)).fetchone():
        return Whereabouts(place=Place.DELAYED, queue=row[0], due=row[1])
    if row := connection.execute("find_dead", (id,)).fetchone():
        return Whereabouts(place=Place.DEAD, queue=row[0], reason=row[1])
    return None


def trace(connection: Connection, id: str, depth: int) -> Whereabouts | None:
    for place, statement, field in _TRACES:
        row = connection.execute(statement, (id,)).fetchone()
        if row is not None:
            return _traced(place, row, **dict(zip(field, row[3:], strict=True)))
    row = connection.execute("trace_ready", (depth, id)).fetchone() if depth else None
    if row is None:
        return None
    seq, queue, level, suspect = row[3:]
    if later := connection.execute("due_of", (seq,)).fetchone():
        return _traced(Place.DELAYED, row, due=later[0])
    where = {"suspect": suspect, "queue": queue, "level": level, "seq": seq}
    return _traced(Place.READY, row, ahead=connection.execute("count_before", where).fetchone()[0])


def delayed(connection: Connection, queues: tuple[str, ...], limit: int) -> tuple[Whereabouts, ...]:
    numbers = [number for name in queues if (number := connection.known_queue(name)) is not None]
    rows = [row for number in numbers for row in connection.execute("read_delayed", (number, limit)).fetchall()]
    rows.sort(key=lambda row: float(row[3]))
    return tuple(_traced(Place.DELAYED, row, due=row[3]) for row in rows[:limit])


_TRACES = (
    (Place.CLAIMED, "trace_claimed", ("node",)),
    (Place.DELAYED, "trace_delayed", ("due",)),
    (Place.DEAD, "trace_dead", ("reason", "since")),
)


def _traced(place: Place, row: tuple[Any, ...], **more: Any) -> Whereabouts:
    encoded, charges = messages.read_encoded(row[1]), messages.read_charges(row[2])
    return Whereabouts(place=place, queue=row[0], encoded=encoded, charges=charges, **more)


def oldest(connection: Connection, queue: int) -> float | None:
    """Answer when the oldest ready message was sent: the first of each level, so that a million cost no more."""
    rows = [
        row
        for suspect in (0, 1)
        for level in LEVELS
        if (row := connection.execute("oldest_ready", (suspect, queue, level)).fetchone())
    ]
    rows += connection.execute("oldest_turn", (queue,)).fetchall()
    return min((float(sent) for (sent,) in rows), default=None)


def purge_step(connection: Connection, name: str) -> int:
    queue = connection.known_queue(name)
    if queue is None:
        return 0
    messages.sort(connection)
    gone: list[tuple[int]] = []
    for suspect in (0, 1):
        gone += connection.execute("purge_ready", (suspect, queue, PURGE_STEP)).fetchall()
    gone += connection.execute("purge_turns", (queue, PURGE_STEP)).fetchall()
    connection.execute("drop_lanes", (queue,))
    waiting = connection.execute("delayed_of_queue", (queue, PURGE_STEP)).fetchall()
    connection.executemany("drop_delayed", waiting)
    gone += [(seq,) for _, seq in waiting]
    connection.executemany("open_door", gone)
    connection.executemany("drop_message", gone)
    return len(gone)


def redrive(connection: Connection, id: str, now: float) -> int:
    """Send a dead letter to its queue again, charges cleared. What was stored of its first life would refuse the
    outcome of the second: it goes."""
    rows = connection.execute("take_dead", (id,)).fetchall()
    for _, queue, place, attempt, once, encoded, lane in rows:
        last = messages.sort(connection)
        row = (last + 1, id, queue, place, attempt, once, now, encoded)
        if lane is None:
            connection.execute("add_message", row)
        else:
            newcomers = Newcomers(connection)
            newcomers.add(row, lane, due=True)
            newcomers.write()
            connection.execute("mark_sorted", (last + 1,))
        connection.added[queue] = connection.added.get(queue, 0) + 1
        if once:
            connection.execute("shut_door", (id, attempt))
    if rows:
        connection.execute("forget_record", (id,))
    return len(rows)
