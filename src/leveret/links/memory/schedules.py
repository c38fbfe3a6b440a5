"""The schedule of one in-process server."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from leveret.logic.schedules.ticks import same_times
from leveret.model.schedules.entry import RETRY_SECONDS, RUNS_KEPT, Due, Entry, Fire, Move, Report, Run, Standing

UNPLANNED = 0.0


@dataclass(slots=True)
class Row:
    standing: Standing
    runs: deque[Run] = field(default_factory=lambda: deque(maxlen=RUNS_KEPT))


class Schedules:
    """Touched under the server's lock only."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._taken: dict[tuple[str, int, float], tuple[Fire, float]] = {}
        """With the moment each was taken, or handed to somebody else."""

    def sync(self, source: str, entries: tuple[Entry, ...], now: float) -> tuple[str, ...]:
        named = {entry.name for entry in entries}
        gone = [name for name, row in self._rows.items() if row.standing.entry.source == source and name not in named]
        for name in gone:
            del self._rows[name]
        return tuple(entry.name for entry in entries if self._write(entry, now)) + tuple(gone)

    def put(self, entries: tuple[Entry, ...], now: float) -> tuple[Standing | None, ...]:
        answers: list[Standing | None] = []
        for entry in entries:
            row = self._rows.get(entry.name)
            if row is not None and row.standing.entry.source != entry.source:
                answers.append(None)
                continue
            self._write(entry, now)
            answers.append(self._rows[entry.name].standing)
        return tuple(answers)

    def _write(self, entry: Entry, now: float) -> bool:
        row = self._rows.get(entry.name)
        if row is None:
            self._rows[entry.name] = Row(Standing(entry=entry, revision=1, cursor=now, due=UNPLANNED))
            return True
        known = row.standing
        if known.entry == entry:
            return False
        cursor = known.cursor if same_times(known.entry, entry) else max(known.cursor, now)
        row.standing = msgspec.structs.replace(
            known, entry=entry, revision=known.revision + 1, cursor=cursor, due=UNPLANNED
        )
        return True

    def drop(self, names: Iterable[str]) -> tuple[bool, ...]:
        return tuple(self._rows.pop(name, None) is not None for name in names)

    def pause(self, names: Iterable[str], paused: bool, now: float) -> tuple[bool, ...]:
        return tuple(self._pause(name, paused, now) for name in names)

    def _pause(self, name: str, paused: bool, now: float) -> bool:
        row = self._rows.get(name)
        if row is None:
            return False
        if row.standing.paused != paused:
            known = row.standing
            cursor, due = (known.cursor, known.due) if paused else (max(known.cursor, now), UNPLANNED)
            row.standing = msgspec.structs.replace(known, paused=paused, cursor=cursor, due=due)
        return True

    def look(self, names: tuple[str, ...] | None, runs: int) -> tuple[Standing | None, ...]:
        return tuple(self._seen(name, runs) for name in (sorted(self._rows) if names is None else names))

    def _seen(self, name: str, runs: int) -> Standing | None:
        row = self._rows.get(name)
        if row is None:
            return None
        newest = tuple(row.runs)[::-1][:runs]
        return msgspec.structs.replace(row.standing, runs=newest) if newest else row.standing

    def due(self, limit: int, now: float) -> Due:
        waiting = [s for row in self._rows.values() if (s := row.standing).due is not None and not s.paused]
        ready = sorted((s for s in waiting if s.due is not None and s.due <= now), key=lambda s: s.due or 0.0)
        later = [s.due for s in waiting if s.due is not None and s.due > now]
        orphans = [key for key, (_, since) in self._taken.items() if now - since >= RETRY_SECONDS][:limit]
        for key in orphans:
            self._taken[key] = (self._taken[key][0], now)
        return Due(
            now=now,
            standings=tuple(ready[:limit]),
            fires=tuple(self._taken[key][0] for key in orphans),
            next=min(later, default=None),
            more=len(ready) > limit,
        )

    def take(self, moves: tuple[Move, ...], now: float) -> tuple[bool, ...]:
        return tuple(self._take(move, now) for move in moves)

    def _take(self, move: Move, now: float) -> bool:
        row = self._rows.get(move.name)
        if row is None:
            return False
        known = row.standing
        if known.paused or (known.revision, known.cursor) != (move.revision, move.seen):
            return False
        last = move.fires[-1] if move.fires else None
        row.standing = msgspec.structs.replace(
            known,
            cursor=move.cursor,
            due=move.due,
            last=known.last if last is None else last.id,
            last_moment=known.last_moment if last is None else last.moment,
        )
        for fire in move.fires:
            self._taken[move.name, fire.revision, fire.moment] = (fire, now)
        for run in move.skipped:
            row.runs.append(run)
        return True

    def report(self, reports: tuple[Report, ...], now: float) -> None:
        for told in reports:
            self._taken.pop((told.name, told.revision, told.moment), None)
            row = self._rows.get(told.name)
            if row is not None and all(run.id != told.id for run in row.runs):
                late = max(now - told.moment, 0.0)
                row.runs.append(Run(id=told.id, moment=told.moment, late=late, outcome=told.outcome))
