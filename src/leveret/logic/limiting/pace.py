"""Rates and retry budgets: GCRA over actual starts.

Law: whoever is told a moment has no claim on it; only a start moves the bucket. So no stretch of a period sees more
than limit + burst starts, whatever stalls or comes late.
"""

import math

from leveret.logic.limiting.states import BudgetState, Full, PaceState, Room, Standing, Verdict
from leveret.model.limiting.gate import BudgetBound, RateBound

LEAST_SECONDS = 0.01
ROUNDING = 1e-5
"""Seconds: a float of today's time is exact to a quarter of a millionth, and a burst adds many. Less than an interval
too early is never one start too many."""
MOST_SECONDS = 3600.0
"""Limits change: nobody is told to stay away for longer."""
PATIENCE_SECONDS = 1.0
BUCKET_SECONDS = 5
BUCKETS = 12
"""A minute, of which the present bucket is the last."""
NO_PACE_SECONDS = 60.0


def ask_rate(bound: RateBound, state: PaceState, standing: Standing, now: float) -> Verdict:
    """Whether one more may start."""
    found = _ask(state.full_at, bound.interval, bound.burst, standing, now)
    return found if isinstance(found, Full) else Room(PaceState(found))


def ask_budget(bound: BudgetBound, state: BudgetState, standing: Standing, now: float) -> Verdict:
    """As a rate whose pace follows the successes; a second's worth may start at once."""
    pace = bound.per_second + bound.share * successes(state, now) / (BUCKETS * BUCKET_SECONDS)
    if pace <= 0:
        return Full(now + NO_PACE_SECONDS)
    found = _ask(state.full_at, 1 / pace, max(math.floor(pace), 1), standing, now)
    return found if isinstance(found, Full) else Room(BudgetState(found, state.buckets, state.kept))


def _ask(full_at: float, interval: float, burst: int, standing: Standing, now: float) -> float | Full:
    spare = (burst - 1) * interval
    # A newcomer passes when nobody in line is due, or when those who are have let the whole bucket fill up.
    patience = max(min(PATIENCE_SECONDS, interval) - spare, 0.0)
    waited_for = standing.first is not None and standing.first <= now < full_at + patience
    if now + ROUNDING >= full_at - spare and (standing.member or not waited_for):
        return max(full_at, now) + interval
    turn = max(full_at - spare, now) + standing.ahead * interval
    return Full(min(max(turn, now + LEAST_SECONDS), now + MOST_SECONDS))


def succeeded(state: BudgetState, count: int, now: float) -> BudgetState:
    """Note successes; what is older than a minute is forgotten."""
    bucket = math.floor(now / BUCKET_SECONDS)
    kept = [(at, many) for at, many in state.buckets if bucket - BUCKETS < at != bucket]
    present = sum(many for at, many in state.buckets if at == bucket)
    return BudgetState(state.full_at, (*kept, (bucket, present + count)), now + BUCKETS * BUCKET_SECONDS)


def successes(state: BudgetState, now: float) -> int:
    """Of the last minute."""
    oldest = math.floor(now / BUCKET_SECONDS) - BUCKETS
    return sum(count for at, count in state.buckets if at > oldest)
