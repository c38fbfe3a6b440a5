"""A task on its way: what `delay()` sends and a worker runs.

The values of the hot path are msgspec structs, not dataclasses: a frozen dataclass of this size
costs 4.9 us to make and 10 us to `replace`, a struct 0.8 and 0.3 (docs/adr/0002).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NewType

from msgspec import Struct

from leveret.model.signature import SignatureSpec

TaskId = NewType("TaskId", str)

DEFAULT_QUEUE = "default"


class Embed(Struct, frozen=True, kw_only=True, gc=False):
    """What follows a task, as Celery's protocol v2 carries it in the third element of the body."""

    callbacks: tuple[SignatureSpec, ...] = ()
    errbacks: tuple[SignatureSpec, ...] = ()
    chain: Sequence[SignatureSpec] = ()
    """Reversed, as on Celery's wire: the next step is the last element."""
    chord: SignatureSpec | None = None

    def __bool__(self) -> bool:
        return bool(self.callbacks or self.errbacks or self.chain or self.chord is not None)


NOTHING_FOLLOWS = Embed()


class Header(Struct, frozen=True, gc=False):
    """A join that begins with a message: how many members it waits for."""

    join: str
    size: int


class Addition(Struct, frozen=True, kw_only=True, gc=False):
    """A member that a running one adds to its own join (`add_to_chord`)."""

    join: str
    size: int
    """As the header was sent. 0: not known here."""
    member: str
    by: str
    """The id of the member that adds it."""
    by_index: int


class Message(Struct, frozen=True, kw_only=True, gc=False):
    """One task call. Moments are unix seconds on the store's clock, durations are seconds.

    `attempt` counts from 0 and is Celery's `retries` header; (id, attempt) names one run.
    """

    id: TaskId
    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    queue: str = DEFAULT_QUEUE
    exchange: str = ""
    routing_key: str = ""
    priority: int | None = None
    attempt: int = 0
    not_before: float | None = None
    expires: float | None = None
    time_limit: float | None = None
    soft_time_limit: float | None = None
    ignore_result: bool | None = None
    """None: the task's own default decides. Celery reads an absent header differently from an explicit false."""
    reply_to: str | None = None
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    group_index: int | None = None
    embed: Embed = NOTHING_FOLLOWS
    shadow: str | None = None
    origin: str | None = None
    argsrepr: str | None = None
    """What monitors are shown instead of the arguments, which may be secret; None: their repr."""
    kwargsrepr: str | None = None
    replaced_task_nesting: int = 0
    stamps: Mapping[str, Any] = {}
    stamped_headers: tuple[str, ...] = ()
    headers: Mapping[str, Any] = {}
    """The sender's own headers, at the top level of the wire's header table."""
    serializer: str = "json"
    compression: str | None = None
    derived: bool = False
    """True when the id was computed (follow-ups, schedule fires, chord bodies) or chosen by the caller:
    a second copy is stopped at the door, and `admit` looks for a stored outcome before it runs."""
    settings: Mapping[str, Any] = {}
    """What else travels with the call under our own `leveret` header: `result_expires`, `first_attempt`, `lane`."""
    begins: tuple[Header, ...] = ()
    """Chords of whose headers it is the first message; nothing of it travels."""
    adds: Addition | None = None
    """The member that it is, or begins; nothing of it travels."""
    carried: Mapping[str, Any] = {}
    """Headers that what follows its run is sent with (`Request.carry`); nothing of it travels with itself."""


LANE = "lane"
"""The setting of a message that has a lane in its queue (`fair_by`)."""
LONGEST_LANE = 128
"""Characters."""


def lane_of(message: Message) -> str:
    """Its lane, or "". Anybody may have written the header: what no lane can be called is none."""
    lane = message.settings.get(LANE) if message.settings else None
    return lane if type(lane) is str and len(lane) <= LONGEST_LANE and lane.isprintable() else ""


FIRST_ATTEMPT = "first_attempt"
"""The setting of a message that took over the id of another (`task.replace`): its attempts go on counting where the
other's ended, because (id, attempt) names one run; its tries begin anew."""


UNIQUE = "unique"
"""The setting of a message that was sent as a unique task: its key."""


def tries(message: Message) -> int:
    """How often this very call was tried before: what `request.retries` shows and a retry policy counts."""
    first = message.settings.get(FIRST_ATTEMPT) if message.settings else None
    return message.attempt - first if type(first) is int and first <= message.attempt else message.attempt
