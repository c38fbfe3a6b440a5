"""Concurrency: who may hold a slot, and when those in line ask again."""

from leveret.logic.limiting.states import Full, Room, SlotState, Standing, Verdict
from leveret.model.limiting.gate import SlotBound

LEAST_SECONDS = 0.05
MOST_SECONDS = 60.0
ASKS_PER_SECOND = 50
"""Of a line so long that `MOST_SECONDS` would mean more: its end asks more seldom."""
UNKNOWN_MEAN = 1.0
"""Seconds of a run, until one has ended."""
UNKNOWN_MOST_SECONDS = 0.5
"""Until then nobody is told more than this (or what a long line asks for): a guess that is a hundred times too long
must not hold up the first short runs of a key."""
WEIGHT = 0.2
"""Of the last run in the mean."""
LOOK_SECONDS = 0.5
"""Between two looks whether holders are still alive."""
FIRST_SHARE = 0.1
"""Of a turn: so long may a slot stay free until the first in line asks."""
PATIENCE_SECONDS = 0.25


def ask_slot(bound: SlotBound, state: SlotState, standing: Standing, held: int, now: float) -> Verdict:
    """Whether one more may hold a slot. The n-th in line is told half of what its turn is expected to take, the first
    one so little that hardly anything stays unused."""
    mean = state.mean or UNKNOWN_MEAN
    turn = mean / bound.slots
    soon = max(LEAST_SECONDS, FIRST_SHARE * turn)
    # Who is called or about to ask goes first; but for no longer than it takes to come.
    patience = max(soon, min(PATIENCE_SECONDS, mean))
    waited_for = standing.first is not None and standing.first <= now + soon and now < state.freed + patience
    if held < bound.slots and (standing.member or not waited_for):
        return Room()
    if standing.ahead == 0:
        return Full(now + min(soon, MOST_SECONDS))
    half = max(LEAST_SECONDS, turn * (standing.ahead + 1) / 2)
    most = MOST_SECONDS if state.mean else UNKNOWN_MOST_SECONDS
    return Full(now + min(half, max(most, standing.ahead / ASKS_PER_SECOND)))


def may_look(state: SlotState, now: float) -> bool:
    """Whether it is time to look after the holders: not at every question, for there may be a thousand of them. (A
    moment ahead of now is of a clock that was set back.)"""
    return not 0 <= now - state.looked < LOOK_SECONDS


def looked(state: SlotState, found: bool, now: float) -> SlotState:
    """`found`: slots of the dead, which are free now."""
    return SlotState(state.mean, now if found else state.freed, now)


def freed(state: SlotState, seconds: float, now: float) -> SlotState:
    """A run is over that took so long; 0: it never began."""
    mean = state.mean
    if seconds > 0:
        mean = mean + WEIGHT * (seconds - mean) if mean > 0 else seconds
    return SlotState(mean, now, state.looked)
