"""One message in one statement: the way of `delay()`.

Law: the statement is the whole transaction. Where there is more to do than to write one row (a session to wake, a copy
to stop, others' messages to sort, a turn to wait for) nothing is written, and `messages.publish` does it all.

Flat on purpose: in a process that has just waited for the disk each further call of Python costs 1-2 us instead of 0.1
(docs/adr/0011).
"""

import sqlite3
from collections.abc import Callable

from leveret.links.sql.connection import AT_ONCE, Connection, explain, fcntl, is_busy
from leveret.links.sql.dialects import SQLITE, statements
from leveret.links.sql.messages import ENCODE, UNSORTED, URGENT, unstorable
from leveret.links.sql.resends import FEW
from leveret.model.delivery import Posting

_flock: Callable[[int, int], None] | None = None if fcntl is None else fcntl.flock
_LET_GO = 0 if fcntl is None else fcntl.LOCK_UN
MANY = 2 * FEW
_ADD = statements(SQLITE)["add_alone"]


def publish(connection: Connection, posting: Posting, now: float, high_first: bool) -> bool:
    """Answer whether it is there, and durable. Its caller holds the connection's lock."""
    task_id, queue, priority = posting.id, connection.queues.get(posting.queue), posting.priority
    known = connection.resends.known
    if (
        queue is None
        or connection.more_to_do
        or (posting.once or posting.lane)
        or posting.not_before is not None
        or task_id in known
        or not 0 <= priority <= URGENT
        or _flock is None
    ):
        return False
    try:
        blob = ENCODE(posting.encoded)
    except (OverflowError, TypeError) as error:
        raise unstorable(error) from error
    level = URGENT - priority if high_first else priority
    cursor, line, turn = connection.cursor, connection.line, connection.turn
    if cursor is None or connection.writing:
        return False
    connection.writing = True
    try:
        # `Connection.try_begin` in short: who waits stands in the line, and comes first.
        _flock(line, AT_ONCE)
        try:
            _flock(turn, AT_ONCE)
        finally:
            _flock(line, _LET_GO)
        try:
            cursor.execute(_ADD, (task_id, queue, level, posting.attempt, now, blob))
        finally:
            _flock(turn, _LET_GO)
    except BlockingIOError:
        return False
    except sqlite3.Error as error:
        if is_busy(error):
            return False
        raise explain(error, connection.path) from error
    finally:
        connection.writing = False
    if cursor.rowcount != 1:
        return False
    known[task_id] = None
    if len(known) > MANY:
        connection.resends.forget(FEW)
    connection.until_look -= 1
    connection.more_to_do = connection.until_look <= 0 or (cursor.lastrowid or 0) % UNSORTED == 0
    return True
