"""What a driver carries, hands over and takes back."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, NewType

from msgspec import Struct

from leveret.model.message import Addition, Header

Receipt = NewType("Receipt", str)
"""The token to settle one hand-over; it dies with the hand-over and fences whoever held it before."""

SessionId = NewType("SessionId", str)
"""One worker process's claims."""


class Encoded(Struct, frozen=True, gc=False):
    """A message as it travels: Celery's protocol v2 header table beside the serialised body."""

    headers: Mapping[str, Any]
    body: bytes
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    reply_to: str | None = None
    priority: int | None = None
    """As the broker tells it with a delivery; None: none, or it does not tell."""


class Posting(Struct, frozen=True, kw_only=True, gc=False):
    """One message for one queue. `once` asks the broker to stop a second copy of the id at the door."""

    id: str
    queue: str
    encoded: Encoded
    attempt: int = 0
    exchange: str = ""
    routing_key: str = ""
    priority: int = 0
    not_before: float | None = None
    expires: float | None = None
    once: bool = False
    begins: tuple[Header, ...] = ()
    """As `Message.begins`, for stores in which Celery's workers count too."""
    adds: Addition | None = None
    """As `Message.adds`, for stores in which Celery's workers count too: counted in the step that publishes it."""
    lane: str = ""
    """Messages of one lane are first in, first out; the lanes of a queue take turns, and all that has none is one more.
    For brokers with `Capability.LANES`; `logic.fairness` makes it: at most 128 printable characters."""


class Charge(Struct, frozen=True, kw_only=True):
    """A death laid to a message. `reason` reads `signal 9`, `exit 3`, `oom`, `time limit` ..."""

    reason: str
    at: float
    session: str = ""


class Delivery(Struct, frozen=True, kw_only=True, gc=False):
    """One hand-over of one message to one session."""

    receipt: Receipt
    queue: str
    encoded: Encoded
    count: int = 1
    """1 the first time; a give-back of unstarted work by its own session does not count."""
    redelivered: bool = False
    """It was handed over before, and the broker does not tell why: it may have run to its end."""
    charges: tuple[Charge, ...] = ()
    suspect: bool = False
    revoked: bool = False
    """The store holds a REVOKED record of its id: `admit` concludes it without a run."""


class Verdict(Enum):
    """How a delivery ends: done (ACK), back to its queue (RELEASE), or parked as a dead letter (REJECT)."""

    ACK = "ack"
    RELEASE = "release"
    REJECT = "reject"


class Claim(Struct, frozen=True, kw_only=True):
    """A request for work. The same `number` in the same session answers the same deliveries again."""

    session: SessionId
    queues: tuple[str, ...]
    credit: int
    number: int
    suspects: bool = False
    """Only suspects (the quarantine child asks), otherwise everything but suspects."""
    last: bool = False
    """The worker ends when this brings nothing: a broker that pushes must make sure that nothing is on its way."""
    idle: int = 0
    """Slots that run nothing; credit beyond it means that tasks are short. 0: not told."""
    aside: bool = False
    """What came lately needed no slot (calls that wait for a batch, paused tasks): credit beyond `idle` is for such."""
    held: int = 0
    """With it: deliveries of this session that wait for company, unacknowledged."""


class Return(Struct, frozen=True, kw_only=True):
    """A delivery given back without an outcome. Unstarted work returns uncharged to its old place in the queue."""

    receipt: Receipt
    delay: float = 0.0
    counted: bool = False
    """True when the run had begun: the next delivery counts one more."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message that could not be run, with the reason; `leveret dead redrive` sends it again."""

    id: str
    queue: str
    reason: str
    at: float
    encoded: Encoded
    charges: tuple[Charge, ...] = ()


class LeftBehind(Struct, frozen=True, kw_only=True):
    """A hand-over to a worker of another system that has not settled it for long. Without `queues`: nobody can tell
    what it is, or where it came from."""

    tag: str
    since: float
    id: str = "?"
    task: str = "?"
    queues: tuple[str, ...] = ()
    raw: bytes = b""


class Place(Enum):
    """Where a message is; `Admin.find` does not tell of what is ready."""

    CLAIMED = "claimed"
    DELAYED = "delayed"
    DEAD = "dead"
    READY = "ready"


class Whereabouts(Struct, frozen=True, kw_only=True):
    """What a broker tells of one message to somebody who waits for it."""

    place: Place
    queue: str
    node: str = ""
    """CLAIMED: whose worker process has it; empty where that is not known."""
    due: float | None = None
    """DELAYED: unix time."""
    reason: str = ""
    """DEAD: why it was parked."""

    # What only `Admin.trace` tells.

    since: float | None = None
    """DEAD: when it was parked."""
    ahead: int | None = None
    """READY: how many are claimed before it, if nothing more urgent comes."""
    encoded: Encoded | None = None
    charges: tuple[Charge, ...] = ()


class QueueCounts(Struct, frozen=True, kw_only=True):
    """What stands in one queue now."""

    queue: str
    ready: int = 0
    delayed: int | None = 0
    """None: this broker does not tell."""
    claimed: int | None = 0
    dead: int = 0
    consumers: int | None = None
    """Worker processes that consume it, where the broker knows."""
    oldest: float | None = None
    """Unix time at which the oldest ready message was sent."""
