"""Unique keys: pending while their message is being sent, then held, then given up at the start or at the end.

None stands for a key of which nothing is known: it is free.
"""

import re
from collections.abc import Callable

from msgspec.structs import replace

from leveret.logic.limiting.states import KeyState
from leveret.model.limiting.gate import Entry, Exit, Grant, UniqueBound, Wish

_LOST = re.compile(r"another task, (\S+), has its unique key")


def lost_to(by: str) -> str:
    """The reason kept of a task whose key is another's."""
    return f"another task, {by}, has its unique key"


def read_lost_to(reason: str) -> str:
    """Whose it is, of such a reason; empty of any other."""
    found = _LOST.match(reason)
    return "" if found is None else found[1]


def holder(state: KeyState | None, now: float) -> str:
    """Empty when it is free."""
    return state.id if state is not None and state.until > now else ""


def wish(
    state: KeyState | None, wished: Wish, pending_seconds: float, alive: Callable[[str], bool], now: float
) -> tuple[Grant, KeyState | None]:
    """Ask for the key before a publish."""
    by = holder(state, now)
    if by and by != wished.id and state is not None:
        runs = bool(state.session) and alive(state.session)
        if runs or not wished.replace:
            return Grant(id=by, won=False, pending=state.pending), state
    if by == wished.id and state is not None and not state.pending:
        return Grant(id=wished.id, won=True), state
    started = state.started if state is not None else ""
    until = now + pending_seconds
    return Grant(id=wished.id, won=True), KeyState(wished.id, until, True, wished.seconds, started=started)


def sent(state: KeyState | None, wished: Wish, now: float) -> KeyState | None:
    """The message is out. It may have run already: then the key is gone, and stays so."""
    if state is None or state.id != wished.id or not state.pending:
        return state
    return replace(state, until=now + wished.seconds, pending=False)


def unsent(state: KeyState | None, wished: Wish) -> KeyState | None:
    """The message is not out, and will not be."""
    return _given_up(state) if state is not None and state.id == wished.id and state.pending else state


def stops(bound: UniqueBound, state: KeyState | None, entry: Entry, now: float) -> str:
    """Who keeps this entry from running; empty: nobody."""
    by = holder(state, now)
    if by in ("", entry.id):
        return ""
    # Once it has started it is not unique any more, whoever holds the key when it is tried again.
    past = bound.until_start and (entry.attempt > 0 or (state is not None and state.started == entry.id))
    return "" if past else by


def begun(bound: UniqueBound, state: KeyState | None, entry: Entry, session: str, now: float) -> KeyState | None:
    """Its holder starts to run: no sender's word is needed any more."""
    if state is None or state.id != entry.id:
        return state
    if bound.until_start:
        return KeyState(until=now + state.seconds, started=entry.id)
    until = now + state.seconds if state.pending else state.until
    return replace(state, until=until, pending=False, session=session)


def ended(state: KeyState | None, over: Exit, session: str) -> KeyState | None:
    """Its holder's run is over; of a run elsewhere nothing is said."""
    if state is not None and over.final and state.started == over.id:
        state = replace(state, started="") if state.id else None
    if state is None or state.id != over.id or state.session not in ("", session):
        return state
    return _given_up(state) if over.final else replace(state, session="")


def _given_up(state: KeyState) -> KeyState | None:
    return KeyState(until=state.until, started=state.started) if state.started else None
