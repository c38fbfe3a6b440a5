"""What somebody who watches events has heard and not yet taken."""

import asyncio
from collections.abc import Iterable

from leveret.model.telling.event import Parcel

MOST_KEPT = 10_000
"""Parcels a watcher may leave unheard; then the oldest are dropped."""


class Heard:
    """Owned by one loop."""

    def __init__(self) -> None:
        self._parcels: list[Parcel] = []
        self.news = asyncio.Event()
        """Set when there is something to take, or to see to."""

    def __bool__(self) -> bool:
        return bool(self._parcels)

    def add(self, parcels: Iterable[Parcel]) -> None:
        self._parcels += parcels
        del self._parcels[:-MOST_KEPT]
        self.news.set()

    def take(self) -> tuple[Parcel, ...]:
        self.news.clear()
        parcels, self._parcels = tuple(self._parcels), []
        return parcels

    async def next(self) -> tuple[Parcel, ...]:
        """Wait until there is something, then take it. Cancelling loses nothing."""
        while not self:
            await self.news.wait()
            self.news.clear()
        return self.take()
