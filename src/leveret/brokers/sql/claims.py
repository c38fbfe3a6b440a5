"""Handing messages over: which, to whom, under which receipts. Every function works inside a transaction."""

from msgspec.structs import replace

from leveret.errors import LeaseLost
from leveret.links.sql import idle, messages
from leveret.links.sql.connection import Connection
from leveret.links.sql.fleet.revocations import among
from leveret.links.sql.lanes import taking
from leveret.links.sql.receipts import write_receipt
from leveret.logic.remote.marks import of_headers
from leveret.model.delivery import Claim, Delivery, SessionId

PROMOTE_AT_ONCE = 100
"""Due messages a claim moves by itself; chores do the rest."""

Taken = tuple[int, int, Delivery]
"""(level, place, delivery)."""
Cut = tuple[int, int, int]
"""(level, last place taken, queue): what is taken of one queue is always the head of one of its levels."""


def find_session(connection: Connection, session: SessionId) -> tuple[int, int]:
    """Answer the session's number in the file and the number of its last claim."""
    row = connection.execute("find_session", (session,)).fetchone()
    if row is None:
        raise gone(session)
    return int(row[0]), int(row[1])


def gone(session: SessionId) -> LeaseLost:
    return LeaseLost(f"session {session} is not registered, or was reaped")


def is_futile(connection: Connection, claim: Claim, now: float) -> bool:
    """Whether nothing can be taken: found out without the write lock, so that idle workers disturb nobody."""
    _, number = find_session(connection, claim.session)
    if claim.number == number:
        return False
    if claim.number < number:
        return True  # a late copy of an earlier request: its answer was taken or given back long ago
    due = messages.next_due(connection)
    if due is not None and due <= now:
        return False
    return not has_ready(connection, claim.queues, claim.suspects)


def has_ready(connection: Connection, queues: tuple[str, ...], suspects: bool) -> bool:
    numbers = [number for name in queues if (number := connection.known_queue(name)) is not None]
    return any(
        connection.execute("any_ready", (suspects, number)).fetchone()
        or (not suspects and connection.execute("any_waiting", (number,)).fetchone())
        for number in numbers
    )


def take(connection: Connection, claim: Claim, now: float) -> tuple[Delivery, ...]:
    """Hand over at most `claim.credit` messages; the same number answers the same deliveries again."""
    row = connection.execute("claim_facts", (claim.session,)).fetchone()
    if row is None:
        raise gone(claim.session)
    session, number, last, done, due, revoked, lanes = row
    if claim.number <= number:
        return replay(connection, session, number) if claim.number == number else ()
    messages.sort_from(connection, done, last)
    if due is not None and due <= now:
        messages.promote(connection, now, PROMOTE_AT_ONCE)
        lanes = lanes or connection.execute("any_turns").fetchone() is not None
    if lanes and not claim.suspects:
        deliveries = take_turns(connection, claim, session)
    else:
        taken: list[Taken] = []
        for cut in choose(connection, claim):
            taken += take_cut(connection, cut, claim, session)
        if len(claim.queues) > 1:
            taken.sort(key=lambda item: item[:2])
        deliveries = tuple(delivery for _, _, delivery in taken)
    connection.execute("number_claim", (claim.number, session))
    return with_revoked(connection, deliveries) if revoked else deliveries


def take_along(connection: Connection, claim: Claim, now: float, resting: str) -> tuple[Delivery, ...]:
    """As `take`, at the end of a settlement: whoever idles is called for what is left. `resting`: the bell of the
    session, where it is not to be called any more when it takes something."""
    try:
        taken = take(connection, claim, now)
    except LeaseLost:
        return ()
    if taken and resting:
        idle.rise(connection, resting)
    added = connection.added
    for delivery in taken:
        queue = connection.queue(delivery.queue)
        added[queue] = added.get(queue, 0) - 1
    return taken


def with_revoked(connection: Connection, deliveries: tuple[Delivery, ...]) -> tuple[Delivery, ...]:
    """Mark what was revoked while it waited: by its id, its group or a stamp."""
    marks = [of_headers(delivery.encoded.headers) for delivery in deliveries]
    revoked = among(connection, [mark for own in marks for mark in own])
    return tuple(
        delivery if revoked.isdisjoint(own) else replace(delivery, revoked=True)
        for delivery, own in zip(deliveries, marks, strict=True)
    )


def choose(connection: Connection, claim: Claim) -> list[Cut]:
    """Pick the most urgent, then the oldest, over all queues; the work does not grow with the backlog."""
    heads: list[tuple[int, int, int]] = []
    for name in dict.fromkeys(claim.queues):
        queue = connection.known_queue(name)
        if queue is not None:
            rows = connection.execute("first_ready", (claim.suspects, queue, claim.credit))
            heads += [(place, seq, queue) for place, seq in rows]
    heads.sort()
    cuts = {(place, queue): seq for place, seq, queue in heads[: claim.credit]}
    return [(place, seq, queue) for (place, queue), seq in cuts.items()]


def take_turns(connection: Connection, claim: Claim, session: int) -> tuple[Delivery, ...]:
    """As cuts are taken, where some of the queues may have lanes."""
    names = dict.fromkeys(claim.queues)
    queues = [number for name in names if (number := connection.known_queue(name)) is not None]
    chosen = taking.choose(connection, queues, claim.credit)
    taken = take_in_lanes(connection, [head for head in chosen if head.in_lane], claim, session)
    cuts = {(head.level, head.queue): head.seq for head in chosen if not head.in_lane}
    for (place, queue), last in cuts.items():
        rows = take_cut(connection, (place, last, queue), claim, session)
        taken.update((seq, delivery) for _, seq, delivery in rows)
    taking.note_rounds(connection, chosen)
    return tuple(taken[head.seq] for head in chosen)


def take_in_lanes(connection: Connection, heads: list[taking.Head], claim: Claim, session: int) -> dict[int, Delivery]:
    """Answers the deliveries by their places."""
    rows = [connection.execute("read_in_lane", (head.seq,)).fetchone() for head in heads]
    connection.executemany("claim_one", [(head.seq, session, claim.number) for head in heads])
    connection.executemany("drop_turn", [(head.queue, head.level, head.turn, head.seq) for head in heads])
    lanes = [(head.queue, head.level, row[4], head.turn) for head, row in zip(heads, rows, strict=True)]
    connection.executemany("drop_lane", lanes)
    return {
        head.seq: messages.deliver(
            write_receipt(head.seq, session, claim.number, once),
            connection.queue_name(head.queue),
            (count, charges, blob),
            False,
        )
        for head, (once, count, charges, blob, _) in zip(heads, rows, strict=True)
    }


def take_cut(connection: Connection, cut: Cut, claim: Claim, session: int) -> list[Taken]:
    place, last, queue = cut
    name, suspect, number = connection.queue_name(queue), claim.suspects, claim.number
    head = (suspect, queue, place, last)
    rows = connection.execute("read_taken", head).fetchall()
    connection.execute(
        "take_ready",
        {"session": session, "number": number, "suspect": suspect, "queue": queue, "level": place, "last": last},
    )
    connection.execute("drop_ready", head)
    return [
        (
            place,
            seq,
            messages.deliver(write_receipt(seq, session, number, once), name, (count, charges, blob), suspect),
        )
        for seq, count, once, charges, blob in rows
    ]


def replay(connection: Connection, session: int, number: int) -> tuple[Delivery, ...]:
    """Answer again what that claim took and the session still holds."""
    return tuple(delivery for given, delivery in held(connection, session) if given == number)


def held(connection: Connection, session: int) -> list[tuple[int, Delivery]]:
    """What a session holds, each with the number of the claim that took it."""
    return [
        (
            number,
            messages.deliver(
                write_receipt(seq, session, number, once),
                connection.queue_name(queue),
                (count, charges, blob),
                suspect,
            ),
        )
        for seq, number, once, count, charges, blob, queue, suspect in connection.execute("read_claimed", (session,))
    ]
