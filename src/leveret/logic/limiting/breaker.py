"""Circuit breakers: closed, open, half open with one probe at a time."""

from collections.abc import Callable

from leveret.logic.limiting.states import KEPT_SECONDS, BreakerState, Full, Room, Standing, Verdict
from leveret.model.limiting.gate import BreakerBound, Entry, Exit

SPREAD_SECONDS = 0.002
"""Between two in line, so that they do not all ask at the moment it half opens."""
PROBING_SECONDS = 1.0
"""After which those are told to ask again who meet a probe; at most `recover`."""
CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"


def ask_breaker(
    bound: BreakerBound,
    state: BreakerState,
    standing: Standing,
    asker: tuple[Entry, str],
    alive: Callable[[str], bool],
    now: float,
) -> Verdict:
    """`asker`: the entry and its session. A probe whose session is over is anybody's to take over."""
    entry, session = asker
    if not state.until:
        return Room()
    spread = standing.ahead * SPREAD_SECONDS
    if now < state.until:
        return Full(state.until + spread)
    if state.probe in ("", entry.id) or not alive(state.session):
        return Room(BreakerState((), state.until, entry.id, session, state.kept))
    return Full(now + min(bound.recover, PROBING_SECONDS) + spread)


def noted(bound: BreakerBound, state: BreakerState, over: Exit, now: float) -> BreakerState:
    """After a run. Once it is open only the probe's outcome counts: others began before."""
    if state.until:
        if state.probe != over.id:
            return state
        if over.outcome == "success":
            return BreakerState()
        return _opened(bound, now) if over.outcome == "failure" else unprobed(state, over.id)
    if over.outcome != "failure":
        return state
    failures = (*state.failures, now)[-bound.failures :]
    if len(failures) == bound.failures and failures[0] > now - bound.within:
        return _opened(bound, now)
    return BreakerState(failures, kept=now + bound.within)


def _opened(bound: BreakerBound, now: float) -> BreakerState:
    # Remembered for so long beyond: nobody may have had anything to probe with.
    return BreakerState((), now + bound.recover, kept=now + bound.recover + KEPT_SECONDS)


def unprobed(state: BreakerState, id: str) -> BreakerState:
    """That one does not probe after all."""
    return BreakerState((), state.until, kept=state.kept) if state.probe == id else state


def shown(state: BreakerState, now: float) -> str:
    if not state.until:
        return CLOSED
    return OPEN if now < state.until else HALF_OPEN
