"""Tells the gate who has left: one batch is under way, what leaves meanwhile is the next one."""

import asyncio
import logging
from collections import Counter, defaultdict
from contextlib import suppress

from msgspec import Struct

from leveret.errors import LeaseLost
from leveret.model.delivery import SessionId
from leveret.model.limiting.gate import Entry, Exit, UniqueBound
from leveret.model.outcome import ErrorInfo, Failed, Finished, Outcome, Rejected, Retried, Snoozed, Succeeded, Unstarted
from leveret.ports.clock import Clock
from leveret.ports.limiting.gate import Gate
from leveret.worker.persist import Persistent

log = logging.getLogger("leveret.worker")

MOST_AT_ONCE = 500
MOST_UNTOLD = 1_000
"""With more of them nothing is claimed."""
COUNTED_EVERY = 1.0
"""Seconds between two tellings of successes, where nobody leaves."""


class Leaving(Struct, frozen=True):
    session: SessionId
    """In which it passed."""
    exit: Exit
    taken_over: bool = False
    """It did not run here: its unique key may be noted as that of a run in a session that is over."""


class Exits:
    """Owned by the I/O loop."""

    def __init__(self, gate: Gate | None, clock: Clock, persist: Persistent, session: SessionId) -> None:
        self._gate, self._clock, self._persist = gate, clock, persist
        self._leaving: list[Leaving] = []
        self._successes: Counter[str] = Counter()
        self._counted = 0.0
        self._wanted = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.session = session
        """The present one."""

    def add(self, *leaving: Leaving) -> None:
        # Without a gate nothing has passed, and nobody would listen.
        if leaving and self._gate is not None:
            self._leaving += leaving
            self._want()

    def succeeded(self, key: str) -> None:
        """A run of a task with a retry budget."""
        self._successes[key] += 1
        if self._clock.monotonic() - self._counted >= COUNTED_EVERY:
            self._want()

    def crowded(self) -> bool:
        return len(self._leaving) > MOST_UNTOLD

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._leaving or self._is_due():
                await self._tell()
            self._empty.set()

    async def flushed(self) -> None:
        """Wait until all that was added so far is told."""
        if self._successes:
            self._counted = 0.0
            self._want()
        await self._empty.wait()

    def _is_due(self) -> bool:
        return bool(self._successes) and self._clock.monotonic() - self._counted >= COUNTED_EVERY

    def _want(self) -> None:
        self._empty.clear()
        self._wanted.set()

    async def _tell(self) -> None:
        batch, self._leaving = self._leaving[:MOST_AT_ONCE], self._leaving[MOST_AT_ONCE:]
        successes, self._successes = dict(self._successes), Counter()
        self._counted = self._clock.monotonic()
        by_session = defaultdict[SessionId, list[Leaving]](list)
        for one in batch:
            by_session[one.session].append(one)
        if successes and not by_session:
            by_session[self.session] = []
        for session, leaving in by_session.items():
            try:
                await self._leave(session, leaving, successes)
            except Exception:
                log.exception("the limits of %d runs could not be freed; they end with the session", len(leaving))
            successes = {}

    async def _leave(self, session: SessionId, leaving: list[Leaving], successes: dict[str, int]) -> None:
        gate = self._gate
        if gate is None:
            return
        unheld = tuple(entry for one in leaving if one.taken_over and (entry := _key_of(one.exit)))
        if unheld:
            with suppress(LeaseLost):
                await self._persist("take over keys", lambda: gate.enter(session, unheld))
        exits = tuple(one.exit for one in leaving)
        await self._persist("tell who has left", lambda: gate.leave(session, exits, successes))


def _key_of(exit: Exit) -> Entry | None:
    """What takes over the unique key of a run that ended elsewhere."""
    bounds = tuple(bound for bound in exit.bounds if isinstance(bound, UniqueBound))
    return Entry(id=exit.id, attempt=0, bounds=bounds) if bounds else None


def exit_of(entry: Entry, finished: Finished | None = None, *, says: bool = True) -> Exit:
    """How a run leaves. None: it has not begun, or its message is handed over again. `says`: whether its outcome says
    something of what the task calls (a fallback's does not)."""
    if finished is None:
        return Exit(id=entry.id, bounds=entry.bounds, outcome="none", final=False)
    outcome = finished.outcome
    if type(outcome) is Succeeded and says:
        return Exit(id=entry.id, bounds=entry.bounds, outcome="success", seconds=finished.runtime)
    return Exit(
        id=entry.id,
        bounds=entry.bounds,
        outcome=_told(outcome) if says else "none",
        final=_is_final(outcome),
        seconds=finished.runtime,
    )


def _told(outcome: Outcome) -> str:
    match outcome:
        case Succeeded():
            return "success"
        case Failed(expected=False) | Retried(expected=False, error=ErrorInfo()):
            return "failure"
        case _:
            return "none"


def _is_final(outcome: Outcome) -> bool:
    match outcome:
        case Retried() | Snoozed() | Unstarted() | Rejected(requeue=True):
            return False
        case _:
            return True
