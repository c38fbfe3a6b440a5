"""Commands and answers within one process."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from leveret.links.memory.bells import LoopWaiter
from leveret.model.remote.command import Parcel
from leveret.ports.operations.mailbox import Hear


class Boxes:
    """Who listens, and what has come for whom. `_lock` guards both: loops of several threads meet here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boxes: dict[str, Box] = {}
        self._listening: list[Box] = []
        self._made = 0

    def open(self, *, listens: bool) -> "Box":
        with self._lock:
            self._made += 1
            box = Box(f"inbox-{self._made}", self._lock)
            if listens:
                self._listening.append(box)
            else:
                self._boxes[box.address] = box
            return box

    def close(self, box: "Box") -> None:
        with self._lock:
            self._boxes.pop(box.address, None)
            with contextlib.suppress(ValueError):
                self._listening.remove(box)

    def broadcast(self, parcels: tuple[Parcel, ...]) -> None:
        with self._lock:
            for box in self._listening:
                box.put(parcels)

    def answer(self, address: str, parcels: tuple[Parcel, ...]) -> None:
        with self._lock:
            if (box := self._boxes.get(address)) is not None:
                box.put(parcels)


class Box:
    """`ports.operations.mailbox.Inbox`, and what a listener reads from. Under the lock of its `Boxes`."""

    def __init__(self, address: str, lock: threading.Lock) -> None:
        self.address = address
        self._lock = lock
        self._parcels: list[Parcel] = []
        self._waiter: LoopWaiter | None = None

    def put(self, parcels: tuple[Parcel, ...]) -> None:
        self._parcels.extend(parcels)
        if self._waiter is not None:
            self._waiter.wake()

    async def take(self, timeout: float) -> tuple[Parcel, ...]:
        with self._lock:
            if not self._parcels:
                self._waiter = LoopWaiter()
        if self._waiter is not None:
            await self._waiter.wait(timeout)
        with self._lock:
            self._waiter = None
            taken, self._parcels = tuple(self._parcels), []
        return taken


class MemoryMailbox:
    """`ports.operations.mailbox.Mailbox`."""

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes

    async def listen(self, node: str, hear: Hear) -> None:
        box = self._boxes.open(listens=True)
        try:
            while True:
                for parcel in await box.take(_LONG):
                    hear(parcel)
        finally:
            self._boxes.close(box)

    async def broadcast(self, parcels: tuple[Parcel, ...]) -> None:
        self._boxes.broadcast(parcels)
        await asyncio.sleep(0)

    @asynccontextmanager
    async def inbox(self) -> AsyncIterator[Box]:
        box = self._boxes.open(listens=False)
        try:
            yield box
        finally:
            self._boxes.close(box)

    async def answer(self, address: str, parcels: tuple[Parcel, ...]) -> None:
        self._boxes.answer(address, parcels)

    async def close(self) -> None:
        return None


_LONG = 3600.0
