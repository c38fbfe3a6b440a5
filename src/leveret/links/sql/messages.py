"""Messages at rest: coming in, going back, parked. Every function works inside a transaction of its caller's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from leveret.errors import EncodeError
from leveret.links.sql.connection import Connection
from leveret.links.sql.lanes.entering import Newcomers, make_ready
from leveret.model.delivery import Charge, DeadLetter, Delivery, Encoded, Posting, Receipt

URGENT = 9
"""Celery's highest priority; larger numbers count as it."""
UNSORTED = 256
"""About so many messages may wait to be sorted: what a claim pays for the publishers, 0.6 us each."""
SOON_SECONDS = 1.0
"""A message due so soon rings at once: the one who is rung waits for the moment itself."""
SLICE = 500
"""Rows made before they are written: few enough to be still in the processor's cache."""

DAMAGED = "application/x-leveret-damaged"
"""The content type of a row that holds no message; no serializer has it."""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise EncodeError(f"a header of type {type(value).__name__} cannot be stored")


# MessagePack and not JSON: headers may hold bytes and NaN, and a body needs no base64.
ENCODE = msgspec.msgpack.Encoder(enc_hook=_plain).encode
_DECODE: Callable[[bytes], Encoded] = msgspec.msgpack.Decoder(Encoded).decode
_DECODE_CHARGES: Callable[[bytes], tuple[Charge, ...]] = msgspec.msgpack.Decoder(tuple[Charge, ...]).decode


def encode(encoded: Encoded) -> bytes:
    try:
        return ENCODE(encoded)
    except (OverflowError, TypeError) as error:
        raise unstorable(error) from error


def unstorable(error: Exception) -> EncodeError:
    return EncodeError(f"a header cannot be stored: {error}")


def level(priority: int, high_first: bool) -> int:
    """Answer the place of a priority: 0 is claimed first."""
    capped = 0 if priority < 0 else min(priority, URGENT)
    return URGENT - capped if high_first else capped


def publish(connection: Connection, postings: Sequence[Posting], now: float, high_first: bool) -> None:
    """As `add`, for postings that may be sent again: what is still here of an earlier sending is left out."""
    doubtful = connection.resends.doubtful(postings)
    if doubtful:
        postings = [posting for posting in postings if posting.id not in doubtful or not is_here(connection, posting)]
    add(connection, postings, now, high_first)
    connection.resends.remember(postings)


def is_here(connection: Connection, posting: Posting) -> bool:
    """Look through the whole backlog: only ever for a resend."""
    place = (posting.id, posting.attempt, connection.queue(posting.queue))
    return connection.execute("find_message", place).fetchone() is not None


def add(connection: Connection, postings: Sequence[Posting], now: float, high_first: bool) -> None:
    """Put postings into their queues, in order; copies of a `once` posting are left out."""
    last, done = connection.execute("last_place").fetchone()
    if len(postings) == 1 and last - done < UNSORTED // 2:
        posting = postings[0]
        if not posting.lane and (posting.not_before is None or posting.not_before <= now):
            add_unsorted(connection, posting, last + 1, now, high_first)
            return
    if all(posting.not_before is None and not posting.once and not posting.lane for posting in postings):
        add_plain(connection, postings, last, now, high_first)
        return
    sort(connection)
    seq = last
    messages: list[tuple[Any, ...]] = []
    ready: list[tuple[int, int, int]] = []
    delayed: list[tuple[float, int, int]] = []
    in_lanes = Newcomers(connection)
    added = connection.added
    for posting in postings:
        if posting.once and is_copy(connection, posting, now):
            continue
        seq += 1
        row = row_of(connection, posting, seq, now, high_first)
        waits = posting.not_before is not None and posting.not_before > now
        if posting.lane:
            in_lanes.add(row, posting.lane, due=not waits)
        else:
            messages.append(row)
        if posting.not_before is not None and waits:
            delayed.append((posting.not_before, seq, row[2]))
            if posting.not_before - now < SOON_SECONDS:
                # Whoever idles must learn of it before it is due, not at the next look at the file.
                added.setdefault(row[2], 1)
        else:
            if not posting.lane:
                ready.append((row[2], row[3], seq))
            added[row[2]] = added.get(row[2], 0) + 1
    connection.executemany("add_message", messages)
    in_lanes.write()
    if ready:
        connection.executemany("add_ready", ready)
    if delayed:
        connection.executemany("add_delayed", delayed)
    connection.execute("mark_sorted", (seq,))


def add_plain(connection: Connection, postings: Sequence[Posting], last: int, now: float, high_first: bool) -> None:
    """As `add` for many that are due and have no door: SQLite copies their places by itself."""
    places: dict[tuple[str, int], tuple[int, int]] = {}
    added = connection.added
    rows: list[tuple[Any, ...]] = []
    seq = last
    for posting in postings:
        wanted = (posting.queue, posting.priority)
        place = places.get(wanted)
        if place is None:
            place = places[wanted] = connection.queue(posting.queue), level(posting.priority, high_first)
        queue = place[0]
        seq += 1
        try:
            blob = ENCODE(posting.encoded)
        except (OverflowError, TypeError) as error:
            raise unstorable(error) from error
        rows.append((seq, posting.id, queue, place[1], posting.attempt, 0, now, blob))
        added[queue] = added.get(queue, 0) + 1
        if len(rows) == SLICE:
            connection.executemany("add_message", rows)
            rows.clear()
    connection.executemany("add_message", rows)
    sort(connection)


def add_unsorted(connection: Connection, posting: Posting, seq: int, now: float, high_first: bool) -> None:
    """As `add` for one posting that is due: it is left to the next claim to sort. So the fsync that `delay()` waits
    for writes one page and not two (15 of 125 us)."""
    if posting.once and is_copy(connection, posting, now):
        return
    row = row_of(connection, posting, seq, now, high_first)
    connection.execute("add_message", row)
    added, queue = connection.added, row[2]
    added[queue] = added.get(queue, 0) + 1


def row_of(
    connection: Connection, posting: Posting, seq: int, now: float, high_first: bool
) -> tuple[int, str, int, int, int, bool, float, bytes]:
    queue, place = connection.queue(posting.queue), level(posting.priority, high_first)
    return (seq, posting.id, queue, place, posting.attempt, posting.once, now, encode(posting.encoded))


def sort(connection: Connection) -> int:
    """Put what single publishes left unsorted among the ready; answers the last place given."""
    last, done = connection.execute("last_place").fetchone()
    sort_from(connection, done, last)
    return int(last)


def sort_from(connection: Connection, done: int, last: int) -> None:
    if last > done:
        connection.execute("sort_messages", (done,))
        connection.execute("mark_sorted", (last,))


def is_copy(connection: Connection, posting: Posting, now: float) -> bool:
    """Stop a copy at the door, else shut the door behind this one. A predecessor (same id, lower attempt) that is
    still here never stops its retry."""
    facts = {"id": posting.id, "attempt": posting.attempt, "now": now}
    if connection.execute("door_stops", facts).fetchone():
        return True
    connection.execute("shut_door", (posting.id, posting.attempt))
    return False


def deliver(receipt: Receipt, queue: str, facts: tuple[int, bytes | None, bytes], suspect: bool) -> Delivery:
    """Make the delivery of a row's (count, charges, encoded)."""
    count, charges, blob = facts
    encoded = read_encoded(blob)
    if count == 0 and charges is None and not suspect:
        return Delivery(receipt=receipt, queue=queue, encoded=encoded)
    return Delivery(
        receipt=receipt,
        queue=queue,
        encoded=encoded,
        count=count + 1,
        charges=read_charges(charges),
        suspect=bool(suspect),
    )


def read_encoded(blob: bytes) -> Encoded:
    """A row that is no message is handed over too, as one that nobody can decode: whoever claims it parks it. Raised
    here, it would end every worker that meets it, and stand at the head of its queue for ever."""
    try:
        return _DECODE(blob)
    except msgspec.DecodeError:
        return Encoded(headers={}, body=blob, content_type=DAMAGED, content_encoding="binary")


def read_charges(blob: bytes | None) -> tuple[Charge, ...]:
    return _DECODE_CHARGES(blob) if blob else ()


def charge(connection: Connection, seq: int, new: Charge) -> None:
    row = connection.execute("read_charges", (seq,)).fetchone()
    if row is not None:
        connection.execute("charge_message", (ENCODE((*read_charges(row[0]), new)), seq))


def put_back(connection: Connection, seq: int, now: float, *, delay: float, counted: bool) -> None:
    """Return a message whose claim has just been dropped to its old place, or to it after `delay` seconds."""
    if counted:
        connection.execute("count_delivery", (seq,))
    if delay > 0:
        connection.execute("delay_message", (now + delay, seq))
        return
    queues = connection.execute("put_back", (seq,)).fetchall()
    for (queue,) in queues:
        connection.added[queue] = connection.added.get(queue, 0) + 1
    if not queues:
        come(connection, [seq])


def remove(connection: Connection, seq: int, once: int) -> None:
    """Forget a message whose claim has just been dropped, and its door."""
    if once:
        connection.execute("open_door", (seq,))
    connection.execute("drop_message", (seq,))


def park(connection: Connection, seq: int, once: int, reason: str, now: float) -> None:
    """Make a message whose claim has just been dropped a dead letter."""
    connection.execute("bury_message", (reason, now, seq))
    remove(connection, seq, once)


def promote(connection: Connection, now: float, limit: int) -> int:
    """Move what is due to its place among the ready; answers how many moved."""
    queues = connection.execute("ready_due", (now, limit)).fetchall()
    in_lanes = [seq for (seq,) in connection.execute("due_in_lanes", (now, limit))]
    if queues or in_lanes:
        connection.execute("drop_due", (now, limit))
    for (queue,) in queues:
        connection.added[queue] = connection.added.get(queue, 0) + 1
    come(connection, in_lanes)
    return len(queues) + len(in_lanes)


def come(connection: Connection, seqs: list[int]) -> None:
    """Let messages that have lanes wait for their turn from now on."""
    for queue, count in make_ready(connection, seqs).items() if seqs else ():
        connection.added[queue] = connection.added.get(queue, 0) + count


def next_due(connection: Connection) -> float | None:
    row = connection.execute("next_due").fetchone()
    return None if row is None else float(row[0])


def read_letter(row: tuple[str, str, str, float, bytes, bytes | None]) -> DeadLetter:
    task, queue, reason, at, blob, charges = row
    return DeadLetter(
        id=task, queue=queue, reason=reason, at=at, encoded=read_encoded(blob), charges=read_charges(charges)
    )
