"""What a gate is asked before a limited run, and what it answers. Moments are unix seconds on the store's clock."""

from msgspec import Struct


class RateBound(Struct, frozen=True, tag="rate"):
    key: str
    interval: float
    """Seconds between two starts at the even pace."""
    burst: int = 1
    """Starts that may follow one another at once after a quiet spell."""


class SlotBound(Struct, frozen=True, tag="slots"):
    """Concurrency: a slot is held from the start of a run to its `Exit`, or until the session of its holder is over."""

    key: str
    slots: int


class BreakerBound(Struct, frozen=True, tag="breaker"):
    key: str
    failures: int
    within: float
    recover: float


class BudgetBound(Struct, frozen=True, tag="budget"):
    """Asked for retries only (attempt > 0). The pace is `per_second + share * successes of the last minute / 60`."""

    key: str
    share: float
    per_second: float


class UniqueBound(Struct, frozen=True, tag="unique"):
    """Passed by the id that holds the key, and by anybody when nobody does."""

    key: str
    until_start: bool = False


Bound = RateBound | SlotBound | BreakerBound | BudgetBound | UniqueBound


class Entry(Struct, frozen=True, kw_only=True):
    """One run that wants to begin."""

    id: str
    attempt: int
    bounds: tuple[Bound, ...]
    task: str = ""
    """Its name, for whoever asks why it waits."""


class Passed(Struct, frozen=True, tag=True):
    """It may begin and holds what it needs. Told again (a lost reply, the same id in another session) it still does.

    But each start counts for a rate and for a retry budget, and nobody can tell a lost reply from a start that was
    never seen to end: who holds no slot in that session asks them anew, and may be told to wait.
    """


class Wait(Struct, frozen=True, tag=True):
    """It may not; nothing was taken. Its place in the line is kept: to be asked again in `seconds`."""

    seconds: float
    bound: str
    """Which kind of bound, by its tag."""
    key: str


class Open(Struct, frozen=True, tag=True):
    """A breaker is open: as `Wait`, for those that have no fallback."""

    seconds: float
    key: str


class Superseded(Struct, frozen=True, tag=True):
    """Another id holds its unique key: this one is not to run at all."""

    by: str


Answer = Passed | Wait | Open | Superseded


class Exit(Struct, frozen=True, kw_only=True):
    """A run that had passed is over (or has not begun after all, and was given back); or who waits will not come."""

    id: str
    bounds: tuple[Bound, ...]
    outcome: str
    """`success`; `failure`: it counts for a breaker; `none`: says nothing of what the task calls (not begun, snoozed,
    rejected, thrown on purpose)."""
    final: bool = True
    """False: the task is tried again, and keeps its unique key."""
    seconds: float = 0.0
    """How long it ran."""


class Reason(Struct, frozen=True, kw_only=True):
    """Why a message waits, as it was decided; for `explain`."""

    id: str
    bound: str
    key: str
    until: float
    """When it is asked again."""
    at: float
    """When that was decided."""
    ahead: int = 0
    """How many stood before it in the line."""


class BoundState(Struct, frozen=True, kw_only=True):
    """What stands behind one key now; for people."""

    bound: str
    key: str
    waiting: int = 0
    held: int = 0
    """Of slots."""
    state: str = ""
    """Of a breaker: `closed`, `open`, `half-open`."""
    until: float | None = None
    """Of an open breaker: when it lets one try."""


class Wish(Struct, frozen=True, kw_only=True):
    """A message about to be sent wants a unique key."""

    key: str
    id: str
    seconds: float
    replace: bool = False
    """Take it from a message that does not run yet."""


class Grant(Struct, frozen=True, kw_only=True):
    """Who has the key. `pending`: its message is not surely sent yet: ask again before you believe it."""

    id: str
    won: bool
    pending: bool = False
