"""What is kept of one key, by its kind of bound. Stores keep these as they are; of a new key nothing is kept."""

from typing import assert_never

from msgspec import Struct

from leveret.model.limiting.gate import Bound

OVERDUE_SECONDS = 60.0
"""Who asks so much later than told has lost its place in the line."""
KEPT_SECONDS = 3600.0
"""How long running averages and failures are remembered, and a pending key after its time: whoever sent it all the same
can still confirm it."""


class PaceState(Struct, frozen=True):
    """Of a rate."""

    full_at: float = 0.0
    """When the bucket is full again: GCRA's theoretical arrival time."""


class SlotState(Struct, frozen=True):
    mean: float = 0.0
    """Seconds of a run, on a running average; 0: none has ended yet."""
    freed: float = 0.0
    """When a slot was last given up."""
    looked: float = 0.0
    """When the holders were last looked after."""


class BreakerState(Struct, frozen=True):
    failures: tuple[float, ...] = ()
    """When the last ones were, at most as many as open it."""
    until: float = 0.0
    """Open, and from then on half open; 0: closed."""
    probe: str = ""
    """Whose run probes."""
    session: str = ""
    kept: float = 0.0
    """Until when this is remembered; longer than it can make a difference."""


class BudgetState(Struct, frozen=True):
    full_at: float = 0.0
    buckets: tuple[tuple[int, int], ...] = ()
    """Successes by stretches of `pace.BUCKET_SECONDS`, the newest last."""
    kept: float = 0.0


class KeyState(Struct, frozen=True):
    """Of a unique key."""

    id: str = ""
    """Whose it is, until then."""
    until: float = 0.0
    pending: bool = False
    seconds: float = 0.0
    """For how long it is held once it is sent."""
    session: str = ""
    """Where it runs."""
    started: str = ""
    """Who gave it up by starting: if that one comes again it is not stopped by its successor."""


State = PaceState | SlotState | BreakerState | BudgetState | KeyState


class Standing(Struct, frozen=True):
    """One entry and the line of a key."""

    ahead: int = 0
    """How many stand before it; before a newcomer, all."""
    member: bool = False
    first: float | None = None
    """The earliest moment anybody in the line was told."""


class Room(Struct, frozen=True):
    """It may pass, and this is then the state; None: as it was."""

    after: State | None = None


class Full(Struct, frozen=True):
    """It may not: it is to ask again at that moment."""

    until: float


Verdict = Room | Full


def named(bound: Bound) -> str:
    """The kind of a bound, as `Wait` and stores call it."""
    return str(bound.__struct_config__.tag)


def overdue(until: float, now: float) -> bool:
    return until < now - OVERDUE_SECONDS


def kept_until(state: State) -> float:
    """From when on it would be the same if nothing were known of the key. Slots that are held, and lines, are apart."""
    match state:
        case PaceState(full_at=full_at):
            return full_at
        case BudgetState(full_at=full_at, kept=kept):
            return max(full_at, kept)
        case SlotState(freed=freed, looked=looked):
            return max(freed, looked) + KEPT_SECONDS
        case BreakerState(kept=kept):
            return kept
        case KeyState(until=until, pending=pending):
            return until + KEPT_SECONDS if pending else until
        case other:
            assert_never(other)
