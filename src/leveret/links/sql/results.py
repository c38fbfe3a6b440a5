"""Outcomes, tombstones and joins at rest. Every function works inside a transaction of its caller's."""

import json
from collections.abc import Sequence
from typing import Any

from leveret.links.sql.connection import Connection
from leveret.model.message import Addition, TaskId
from leveret.model.options import DriverOptions
from leveret.model.settlement import ADDED, Joined, Record, Seat


def row_of(record: Record, now: float, options: DriverOptions) -> tuple[Any, ...]:
    """The parameters of `store_record`."""
    seconds = record.expires_after
    if seconds is None and record.tombstone:
        seconds = options.tombstone_expires
    return (
        record.id,
        record.attempt,
        record.state,
        record.terminal,
        record.tombstone,
        record.meta,
        record.content_type,
        record.not_before,
        None if seconds is None else now + seconds,
        now,
    )


def store(connection: Connection, record: Record, now: float, options: DriverOptions) -> bool:
    """The fence: False when a terminal record or one of a later attempt is there. A retry is the outcome of its
    attempt: a late STARTED of the same attempt does not hide it."""
    if connection.execute("store_record", row_of(record, now, options)).rowcount != 1:
        return False
    if record.reply_to:
        connection.rings.add(record.reply_to)
    return True


def get(connection: Connection, ids: Sequence[str], now: float) -> tuple[Record | None, ...]:
    if len(ids) == 1:
        return (read_record(connection.execute("get_record", (ids[0], now)).fetchone()),)
    rows = connection.execute("get_records", (json.dumps(list(ids)), now)).fetchall()
    known = {row[0]: read_record(row) for row in rows}
    return tuple(known.get(key) for key in ids)


def read_record(row: tuple[Any, ...] | None) -> Record | None:
    if row is None:
        return None
    task, attempt, state, terminal, tombstone, meta, content_type, not_before = row
    return Record(
        id=TaskId(task),
        attempt=attempt,
        state=state,
        meta=meta,
        content_type=content_type,
        terminal=bool(terminal),
        tombstone=bool(tombstone),
        not_before=not_before,
    )


def forget(connection: Connection, ids: Sequence[str]) -> None:
    connection.executemany("forget_record", [(key,) for key in ids])


def arrive(connection: Connection, seat: Seat, now: float, options: DriverOptions) -> Joined:
    """Take a seat; the first value wins. An open join has no deadline, one that is over lives as long as a result."""
    connection.execute("open_join", (seat.join, seat.size))
    expires = None if options.result_expires is None else now + options.result_expires
    if seat.failed:
        connection.execute("close_join", (expires, seat.join))
    else:
        place = _place(connection, seat.join, seat.id, seat.index)
        if place is None and not _is_over(connection, seat.join):
            place = _widen(connection, seat.join, seat.id)
        if place is not None and connection.execute("take_seat", (seat.join, place, seat.value)).rowcount == 1:
            connection.execute("count_seat", (expires, seat.join))
    size, taken, closed = connection.execute("find_join", (seat.join,)).fetchone()
    if closed or taken < size:
        return Joined(join=seat.join, complete=False)
    values = connection.execute("read_seats", (seat.join,)).fetchall()
    return Joined(join=seat.join, complete=True, values=tuple(value for (value,) in values))


def grow(connection: Connection, addition: Addition) -> bool:
    """`ports.backend.GrowsJoins`."""
    join = addition.join
    connection.execute("open_join", (join, addition.size))
    _, _, closed = connection.execute("find_join", (join,)).fetchone()
    if closed or _place(connection, join, addition.member, ADDED) is not None:
        return True
    own = _place(connection, join, addition.by, addition.by_index)
    if _is_over(connection, join) or connection.execute("seat_taken", (join, own)).fetchone() is not None:
        return False
    _widen(connection, join, addition.member)
    return True


def _place(connection: Connection, join: str, member: str, index: int) -> int | None:
    """Where the value of a member stands; None: of one that was added nobody has been told."""
    if index != ADDED:
        return index
    row = connection.execute("find_member", (join, member)).fetchone()
    return None if row is None else ADDED + int(row[0])


def _widen(connection: Connection, join: str, member: str) -> int:
    connection.execute("widen_join", (join,))
    return ADDED + int(connection.execute("add_member", (join, member)).fetchone()[0])


def _is_over(connection: Connection, join: str) -> bool:
    size, taken, closed = connection.execute("find_join", (join,)).fetchone()
    return bool(closed or taken >= size)
