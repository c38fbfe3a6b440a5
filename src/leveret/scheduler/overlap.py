"""Whether an entry's last run has ended, for entries that must not overlap themselves."""

from collections.abc import Awaitable, Callable, Sequence

from leveret.errors import BrokerError
from leveret.logic.schedules import ticks
from leveret.model.schedules.entry import Move, Standing
from leveret.model.settlement import Record
from leveret.model.state import RETRY

FORGOTTEN_SECONDS = 86_400.0
"""A run of which nothing is known for so long has ended: its outcome is forgotten by now, or its message was purged."""

Get = Callable[[Sequence[str]], Awaitable[tuple[Record | None, ...]]]
Dead = Callable[[tuple[str, ...]], Awaitable[frozenset[str]]]


class Overlaps:
    """`get` reads outcomes, `dead` tells which ids are dead letters. Without a store of outcomes nothing is held."""

    def __init__(self, get: Get | None, dead: Dead | None = None, forgotten: float = FORGOTTEN_SECONDS) -> None:
        self._get, self._dead = get, dead
        self._forgotten = min(forgotten, FORGOTTEN_SECONDS)

    async def held_back(self, moves: tuple[Move, ...], standings: tuple[Standing, ...], now: float) -> tuple[Move, ...]:
        """The same moves, without the runs of entries whose last one goes on. Where nobody can tell, the entry is not
        moved: it stays due until somebody can."""
        asked = {
            move.name: standing
            for move, standing in zip(moves, standings, strict=True)
            if move.fires and standing.entry.overlap == "skip" and standing.last
        }
        if not asked or self._get is None:
            return moves
        try:
            running = await self._running(tuple(asked.values()), now)
        except BrokerError:
            return tuple(move for move in moves if move.name not in asked)
        return tuple(ticks.skip(move, now) if move.name in running else move for move in moves)

    async def _running(self, standings: tuple[Standing, ...], now: float) -> frozenset[str]:
        assert self._get is not None
        records = await self._get([standing.last for standing in standings])
        left = [
            standing
            for standing, record in zip(standings, records, strict=True)
            if not _ended(record) and now - (standing.last_moment or 0.0) < self._forgotten
        ]
        dead: frozenset[str] = frozenset()
        if left and self._dead is not None:
            dead = await self._dead(tuple(standing.last for standing in left))
        return frozenset(standing.entry.name for standing in left if standing.last not in dead)


def _ended(record: Record | None) -> bool:
    # A tombstone may also stand for an attempt that will be followed by another.
    return record is not None and (record.terminal or (record.tombstone and record.state != RETRY))
