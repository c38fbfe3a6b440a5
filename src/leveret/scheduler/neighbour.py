"""Leaves to Celery's beat what it is seen to send, for as long as it does."""

from collections.abc import Callable, Mapping
from typing import Final

from leveret.logic.schedules.neighbour import SLACK_SECONDS, is_covered, left, marks_of
from leveret.model.schedules.entry import BY_BEAT, RUNS_KEPT, Move, Report, Standing
from leveret.ports.schedule import ScheduleStore

LOOK_SECONDS: Final = 10.0
"""How often it is looked what other nodes have seen, of an entry that beat is not known to send."""

Seen = Callable[[], Mapping[str, float]]
"""What the workers of this node have seen beat send: age in seconds of the last message, by its mark."""


class Neighbour:
    """What one node sees it writes into the entry's history, where the schedulers of the others look."""

    def __init__(self, store: ScheduleStore, seen: Seen, log: Callable[..., None]) -> None:
        self._store, self._seen, self._log = store, seen, log
        self._last: dict[str, float] = {}
        """When beat was last seen to send an entry."""
        self._told: dict[str, float] = {}
        self._looked: dict[str, float] = {}
        self._alone: set[str] = set()
        """Entries whose first run here has waited for beat in vain."""

    async def held_back(self, moves: tuple[Move, ...], standings: tuple[Standing, ...], now: float) -> tuple[Move, ...]:
        """The same moves without what is beat's; what may be is not moved yet, and stays due."""
        named = {standing.entry.name: standing for standing in standings}
        firing = {move.name: named[move.name] for move in moves if move.fires}
        if not firing:
            return moves
        await self._see(firing, now)
        return tuple(kept for move in moves if (kept := self._decided(move, firing.get(move.name), now)) is not None)

    def _decided(self, move: Move, standing: Standing | None, now: float) -> Move | None:
        if standing is None:
            return move
        name, seen = move.name, self._last.get(move.name)
        if is_covered(standing.entry, move.fires[-1].moment, seen):
            return left(move)
        if (seen is not None or name not in self._alone) and now - _first(move) < SLACK_SECONDS:
            # Of an entry that is due more often than that its moments come together, none of them lost.
            return None
        if seen is not None:
            del self._last[name]
            self._log("warning", "celery beat has not sent an entry any more: it is run here", entry=name)
        self._alone.add(name)
        return move

    async def _see(self, firing: Mapping[str, Standing], now: float) -> None:
        """Take in what was seen here and elsewhere, and tell the others what is new."""
        ages, reports = self._seen(), []
        for name, standing in firing.items():
            ages_here = (
                [age for mark in marks_of(standing.entry) if (age := ages.get(mark)) is not None] if ages else []
            )
            if not ages_here:
                continue
            at = now - min(ages_here)
            self._note(name, at)
            if at > self._told.get(name, 0.0) + SLACK_SECONDS / 4:
                self._told[name] = at
                reports.append(
                    Report(name=name, revision=standing.revision, moment=at, id=f"beat {at:.3f}", outcome=BY_BEAT)
                )
        if reports:
            await self._store.report(tuple(reports))
        asked = tuple(name for name in firing if self._is_to_be_looked_at(name, now))
        looked = await self._store.look(asked, RUNS_KEPT) if asked else ()
        for name, found in zip(asked, looked, strict=True):
            for run in found.runs if found is not None else ():
                if run.outcome == BY_BEAT:
                    self._note(name, run.moment)
        self._looked.update(dict.fromkeys(asked, now))

    def _is_to_be_looked_at(self, name: str, now: float) -> bool:
        undecided = name in self._last or name not in self._alone
        return undecided or now - self._looked.get(name, 0.0) >= LOOK_SECONDS

    def _note(self, name: str, at: float) -> None:
        if name not in self._last:
            self._log("warning", "celery beat sends an entry too: it is left to beat while it does", entry=name)
        self._last[name] = max(at, self._last.get(name, at))


def _first(move: Move) -> float:
    """The oldest moment it decides about."""
    return min([fire.moment for fire in move.fires] + [run.moment for run in move.skipped])
