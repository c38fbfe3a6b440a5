"""Events within one process: whoever watches is told at once."""

import asyncio
import threading
from contextlib import suppress

from leveret.links.hearing import Heard
from leveret.logic.routing import topic_matches
from leveret.model.telling.event import Parcel


class Ear:
    """`ports.operations.events.EventFeed` of one loop. Any thread may tell it something."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._loop = asyncio.get_running_loop()
        self._heard = Heard()

    def hear(self, parcels: tuple[Parcel, ...]) -> None:
        """Called on any thread."""
        mine = [parcel for parcel in parcels if topic_matches(self.key, parcel.key)]
        if mine:
            # A watcher whose loop has ended hears nothing any more.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._heard.add, mine)

    async def receive(self) -> tuple[Parcel, ...]:
        return await self._heard.next()

    async def close(self) -> None:
        return


class Ears:
    """Of one in-process server. `_guard` guards the set."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._ears: tuple[Ear, ...] = ()

    def tell(self, parcels: tuple[Parcel, ...]) -> None:
        for ear in self._ears:
            ear.hear(parcels)

    def add(self, ear: Ear) -> None:
        with self._guard:
            self._ears = (*self._ears, ear)

    def remove(self, ear: Ear) -> None:
        with self._guard:
            self._ears = tuple(other for other in self._ears if other is not ear)


class MemoryEvents:
    """`ports.operations.events.EventBus`."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears

    async def send(self, parcels: tuple[Parcel, ...]) -> None:
        self._ears.tell(parcels)

    async def watch(self, key: str) -> "MemoryFeed":
        return MemoryFeed(self._ears, key)

    async def close(self) -> None:
        return


class MemoryBlockingEvents:
    """`ports.operations.events.BlockingEventBus`."""

    def __init__(self, ears: Ears) -> None:
        self._ears = ears

    def send(self, parcels: tuple[Parcel, ...], timeout: float) -> None:
        self._ears.tell(parcels)


class MemoryFeed(Ear):
    def __init__(self, ears: Ears, key: str) -> None:
        super().__init__(key)
        self._ears = ears
        ears.add(self)

    async def close(self) -> None:
        self._ears.remove(self)
