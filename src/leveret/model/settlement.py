"""All that follows one attempt, decided by `logic.delivery` and carried out by the Settler."""

from collections.abc import Callable

from msgspec import Struct

from leveret.model.delivery import Posting, Receipt, Verdict
from leveret.model.message import Message, TaskId


class Record(Struct, frozen=True, kw_only=True):
    """What is stored of one attempt. (id, attempt) is the fence: a store refuses a record when it holds a
    terminal one for the id, or one of a later attempt."""

    id: TaskId
    attempt: int
    state: str
    """One of `model.state`'s names, or the name `update_state` was given."""
    meta: bytes = b""
    """Celery's result document (`reference` celery.md 2.5) as the result serializer wrote it; empty for a tombstone."""
    content_type: str = "application/json"
    terminal: bool = False
    tombstone: bool = False
    """Kept for 24 h only to stop a second run; it has no value, and readers see it as absent."""
    not_before: float | None = None
    """For RETRY: when the next attempt may start."""
    expires_after: float | None = None
    """Seconds until the store may forget it; None keeps it."""
    reply_to: str | None = None
    """Who waits for it: a bell address the store rings after the commit."""


class Joined(Struct, frozen=True, kw_only=True):
    """Answer of `arrive`: whether the join is complete, and its values in seat order; the same when asked again, until
    what it releases is published, where the store hears of that (`SharedJoins`)."""

    join: str
    complete: bool
    """Every member has succeeded, as far as the store knows."""
    values: tuple[bytes, ...] = ()
    """Of one that is not complete, where every seat is taken and a member has failed (`SharedJoins`)."""
    over: bool = False
    """All that follows has been done, or the seat was taken before: there is nothing to do."""
    claimed: bool = False
    """Somebody else is about to do it, and may die before it has: to be asked again after a while."""
    shape: bytes = b""
    """Celery's document of the header where its client said how the values nest (a `GroupResult` as stored)."""


class Released(Struct, frozen=True, kw_only=True):
    """What an arrival sets free. It is written with the arrival: in its transaction where there is one."""

    records: tuple[Record, ...] = ()
    """Outcomes of what will never run; each is fenced by itself, and one that is refused changes nothing else."""
    follow: tuple[Posting, ...] = ()
    seats: "tuple[Seat, ...]" = ()
    """Further out: a body that failed is a failed member of the join around it."""


NOTHING = Released()

Release = Callable[[Joined], Released]


ANY_PLACE = 2**53
"""The index of a seat that has none (Celery: behind all others)."""
ADDED = 2**30
"""The index of every seat that was added (`add_to_chord`). The store puts them behind the header's, in the order in
which they were added. One that nobody has counted yet counts itself when it is taken: it fills nobody's place."""


class Seat(Struct, frozen=True, kw_only=True):
    """One member's place in a join (a chord). The first value per seat wins."""

    join: str
    index: int
    id: str = ""
    """Of the member. Members of a Celery client's nested groups may share an index."""
    size: int
    """0: not known here, the store was told it by somebody else (Celery's client)."""
    value: bytes
    """A failed seat's is the error as the result document has it."""
    failed: bool = False
    """It closes the join unless that is complete: whoever arrives later finds it open for ever."""
    release: Release | None = None
    """Asked with the answer to the arrival, at once, and again whenever the arrival is repeated: it answers the same
    ids."""


def answered(seat: Seat, joined: Joined) -> Released:
    """What a seat sets free."""
    return NOTHING if seat.release is None else seat.release(joined)


class Settlement(Struct, frozen=True, kw_only=True):
    """The decision about one attempt."""

    id: TaskId
    attempt: int
    verdict: Verdict
    record: Record | None = None
    seat: Seat | None = None
    follow: tuple[Message, ...] = ()
    also: tuple[Record, ...] = ()
    """Outcomes of what will never run because of this one, each fenced by itself."""
    delay: float = 0.0
    """For RELEASE: seconds until it may be claimed again."""
    reason: str = ""
    """For REJECT: why it is a dead letter."""
    counted: bool = True
    """For RELEASE: whether the next delivery counts one more."""


class Commitment(Struct, frozen=True, kw_only=True):
    """A settlement in the driver's terms: everything encoded, one receipt."""

    receipt: Receipt
    verdict: Verdict
    record: Record | None = None
    seat: Seat | None = None
    follow: tuple[Posting, ...] = ()
    also: tuple[Record, ...] = ()
    delay: float = 0.0
    reason: str = ""
    counted: bool = True


CLAIM_SECONDS = 5.0
"""The pause before it is looked whether a Celery worker has done what it claimed; its claim lasts 6 s, or about 20."""


def waiting(commitment: Commitment) -> Commitment:
    """Give the delivery back until then. It counts as one: what is stored of it is looked up when it comes again."""
    return Commitment(receipt=commitment.receipt, verdict=Verdict.RELEASE, delay=CLAIM_SECONDS)


class Committed(Struct, frozen=True):
    """Everything of the commitment is durable."""

    joined: Joined | None = None


class Stale(Struct, frozen=True):
    """The fence refused: someone else owns the message or it has ended. Nothing of the commitment was written."""

    reason: str = ""
