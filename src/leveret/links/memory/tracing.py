"""Where one message is, for somebody who asks why it does not run. Called under the server's lock."""

from collections.abc import Iterable
from heapq import nsmallest
from itertools import islice

from msgspec.structs import replace

from leveret.links.memory.messages import Messages
from leveret.links.memory.queues import Row
from leveret.model.delivery import DeadLetter, Place, Whereabouts


def find(messages: Messages, id: str, now: float) -> Whereabouts | None:
    """Of one that cannot be claimed now."""
    for row, node in messages.rows_of(id):
        if row.session is not None or row.due > now:
            return row.whereabouts(node)
    letter = messages.letter(id)
    return None if letter is None else Whereabouts(place=Place.DEAD, queue=letter.queue, reason=letter.reason)


def trace(messages: Messages, id: str, now: float, depth: int) -> Whereabouts | None:
    # A retry stands beside the attempt that it follows until that is settled: who holds one tells more.
    for row, node in sorted(messages.rows_of(id), key=lambda held: held[0].session is None):
        found = row.traced(node, now)
        if found.place is not Place.READY:
            return found
        if depth:
            return replace(found, ahead=_before(row, messages.rows(), messages.levels, now))
    letter = messages.letter(id)
    return None if letter is None else _parked(letter)


def sample(messages: Messages, limit: int) -> tuple[tuple[str, str], ...]:
    waiting = (row.posting for row in messages.rows() if row.session is None)
    return tuple((one.queue, str(one.encoded.headers.get("task", "?"))) for one in islice(waiting, limit))


def delayed(messages: Messages, queues: frozenset[str], now: float, limit: int) -> tuple[Whereabouts, ...]:
    waiting = (row for row in messages.rows() if row.session is None and row.due > now and row.posting.queue in queues)
    return tuple(row.traced("", now) for row in nsmallest(limit, waiting, key=lambda row: row.due))


def _parked(letter: DeadLetter) -> Whereabouts:
    return Whereabouts(
        place=Place.DEAD,
        queue=letter.queue,
        reason=letter.reason,
        since=letter.at,
        encoded=letter.encoded,
        charges=letter.charges,
    )


def _before(row: Row, rows: Iterable[Row], levels: tuple[int, ...], now: float) -> int:
    """How many of its queue are claimed before it."""
    own = (levels.index(row.level), row.seq)
    return sum(
        (levels.index(one.level), one.seq) < own
        for one in rows
        if one.receipt is None
        and one.due <= now
        and one.suspect == row.suspect
        and one.posting.queue == row.posting.queue
    )
