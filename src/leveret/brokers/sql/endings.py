"""How hand-overs end. Every function works inside a transaction."""

from collections.abc import Sequence

from leveret.links.sql import messages, results
from leveret.links.sql.connection import Connection
from leveret.links.sql.receipts import Ticket, read_receipt
from leveret.model.delivery import Return, Verdict
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Joined, Seat, Stale

NOT_OURS = "the receipt is not held any more"
FENCED = "a terminal record or a later attempt is stored"
DONE = Committed()


class Uneven(Exception):
    """Some of a batch was refused: undo it, and take the batch one by one."""


def is_plain(commitments: Sequence[Commitment]) -> bool:
    """Whether every commitment is an acknowledgement with, at most, a record: what a busy worker sends."""
    return all(c.verdict is Verdict.ACK and not c.follow and c.seat is None and not c.also for c in commitments)


def commit_plain(
    connection: Connection, commitments: Sequence[Commitment], now: float, options: DriverOptions
) -> tuple[Committed | Stale, ...]:
    """A whole batch in three statements; raises Uneven when the fence or a receipt refuses one of them."""
    records = [commitment.record for commitment in commitments if commitment.record is not None]
    rows = [results.row_of(record, now, options) for record in records]
    acknowledge_all(connection, commitments)
    if rows and connection.executemany("store_record", rows) != len(rows):
        raise Uneven
    connection.rings.update(record.reply_to for record in records if record.reply_to)
    return (DONE,) * len(commitments)


def acknowledge_all(connection: Connection, commitments: Sequence[Commitment]) -> tuple[Committed | Stale, ...]:
    tickets = [read_receipt(commitment.receipt) for commitment in commitments]
    if connection.executemany("drop_claim", [ticket[:3] for ticket in tickets]) != len(tickets):
        raise Uneven
    guarded = [(ticket.seq,) for ticket in tickets if ticket.once]
    if guarded:
        connection.executemany("open_door", guarded)
    connection.executemany("drop_message", [(ticket[0],) for ticket in tickets])
    return (DONE,) * len(commitments)


def commit(connection: Connection, commitment: Commitment, now: float, options: DriverOptions) -> Committed | Stale:
    """All of one commitment or nothing: both refusals come before anything of it is written."""
    ticket = read_receipt(commitment.receipt)
    if connection.execute("holds_claim", ticket.hold).fetchone() is None:
        return Stale(NOT_OURS)
    if commitment.record is not None and not results.store(connection, commitment.record, now, options):
        return Stale(FENCED)
    for record in commitment.also:
        results.store(connection, record, now, options)
    # The delivery ends first: with follow-ups of the same id the predecessor must not stand in the door.
    end(connection, ticket, commitment, now)
    if commitment.follow:
        messages.add(connection, commitment.follow, now, options.high_first)
    return Committed(take(connection, commitment.seat, now, options) if commitment.seat else None)


def take(connection: Connection, seat: Seat, now: float, options: DriverOptions) -> Joined:
    """Take a seat, and do all that this sets free, in the same transaction."""
    joined = results.arrive(connection, seat, now, options)
    if seat.release is not None:
        released = seat.release(joined)
        for record in released.records:
            results.store(connection, record, now, options)
        if released.follow:
            messages.add(connection, released.follow, now, options.high_first)
        for further in released.seats:
            take(connection, further, now, options)
    return joined


def settle(connection: Connection, commitment: Commitment, now: float) -> Committed | Stale:
    """The verdict alone."""
    ticket = read_receipt(commitment.receipt)
    return DONE if end(connection, ticket, commitment, now) else Stale(NOT_OURS)


def end(connection: Connection, ticket: Ticket, commitment: Commitment, now: float) -> bool:
    if connection.execute("drop_claim", ticket.hold).rowcount != 1:
        return False
    match commitment.verdict:
        case Verdict.ACK:
            messages.remove(connection, ticket.seq, ticket.once)
        case Verdict.RELEASE:
            messages.put_back(connection, ticket.seq, now, delay=commitment.delay, counted=commitment.counted)
        case Verdict.REJECT:
            messages.park(connection, ticket.seq, ticket.once, commitment.reason, now)
    return True


def give_back(connection: Connection, back: Return, now: float) -> None:
    ticket = read_receipt(back.receipt)
    if connection.execute("drop_claim", ticket.hold).rowcount == 1:
        messages.put_back(connection, ticket.seq, now, delay=back.delay, counted=back.counted)
