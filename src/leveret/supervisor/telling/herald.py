"""Worker events: a node says that it is there, every two seconds that it still is, and at the end that it is not."""

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from leveret.errors import LeveretError
from leveret.logic.wire.events import EventWriter, alone
from leveret.model.control import Tally
from leveret.model.telling.event import WorkerEvent, WorkerHeartbeat, WorkerOffline, WorkerOnline
from leveret.ports.clock import Clock
from leveret.ports.operations.events import EventBus

log = logging.getLogger("leveret.supervisor")

FREQUENCY: Final = 2.0
SEND_SECONDS: Final = 2.0
GOODBYE_SECONDS: Final = 1.0

EventT = TypeVar("EventT", bound=WorkerEvent)


class Herald:
    """A companion of the supervisor; `run` until cancelled. `software` is name, version and system."""

    def __init__(
        self,
        bus: EventBus,
        writer: EventWriter,
        clock: Clock,
        total: Callable[[], Tally],
        *,
        software: tuple[str, str, str],
        frequency: float = FREQUENCY,
    ) -> None:
        self._bus, self._writer, self._clock, self._total = bus, writer, clock, total
        self._software, self._frequency = software, frequency
        self._failing = False

    async def run(self) -> None:
        try:
            await self._say(WorkerOnline)
            while True:
                await asyncio.sleep(self._frequency)
                await self.beat()
        finally:
            with suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(self._say(WorkerOffline), GOODBYE_SECONDS)
            await self._bus.close()

    async def beat(self) -> None:
        """Say now that this node is there: somebody asks (Celery's command `heartbeat`)."""
        await self._say(WorkerHeartbeat)

    async def _say(self, kind: type[EventT]) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._bus.send(alone([self._made(kind)], self._writer.hostname))
        except (LeveretError, OSError, TimeoutError) as error:
            if not self._failing:
                log.warning("worker events cannot be sent: %s", error or "no answer in time")
            self._failing = True
        else:
            self._failing = False

    def _made(self, kind: type[EventT]) -> EventT:
        now, total, writer = self._clock.now(), self._total(), self._writer
        return kind(
            writer.hostname, writer.utcoffset, writer.pid, writer.tick(now), now,
            self._frequency, total.active, total.processed, _load(), *self._software,
        )  # fmt: skip


def _load() -> tuple[float, ...]:
    try:
        return tuple(round(average, 2) for average in os.getloadavg())
    except (OSError, AttributeError):
        return (0.0, 0.0, 0.0)
