"""`task-sent`: whoever sends a task tells of it (`task_send_sent_event`). It never holds up or fails a call."""

import logging
import os
import platform
import sys
from collections.abc import Sequence
from typing import Protocol

from leveret.errors import LeveretError
from leveret.logic.wire.events import EventWriter, alone
from leveret.model.message import Message
from leveret.model.telling.event import Parcel
from leveret.ports.clock import Clock
from leveret.ports.operations.events import BlockingEventBus, EventBus

log = logging.getLogger("leveret.events")

SEND_SECONDS = 1.0


class Parts(Protocol):
    """What it needs of a client's parts."""

    @property
    def clock(self) -> Clock: ...
    @property
    def events(self) -> BlockingEventBus | None: ...
    @property
    def utcoffset(self) -> int: ...


class Options(Protocol):
    @property
    def sent_events(self) -> bool: ...


class SentTeller:
    """Of one client; survives a fork."""

    def __init__(self, bus: BlockingEventBus, clock: Clock, utcoffset: int) -> None:
        self._bus, self._clock, self._utcoffset = bus, clock, utcoffset
        self._writer: EventWriter | None = None

    def tell(self, messages: Sequence[Message]) -> None:
        try:
            self._bus.send(self._parcels(messages), SEND_SECONDS)
        except (LeveretError, OSError) as error:
            log.debug("task-sent could not be told: %s", error)

    async def atell(self, bus: EventBus | None, messages: Sequence[Message]) -> None:
        """As `tell`, on the running loop's own connection."""
        if bus is None:
            return
        try:
            # Loaded, as a loop runs; a program without one never pays for it.
            async with sys.modules["asyncio"].timeout(SEND_SECONDS):
                await bus.send(self._parcels(messages))
        except (LeveretError, OSError, TimeoutError) as error:
            log.debug("task-sent could not be told: %s", error)

    def _parcels(self, messages: Sequence[Message]) -> tuple[Parcel, ...]:
        writer, pid = self._writer, os.getpid()
        if writer is None or writer.pid != pid:
            # As Celery names who is no worker.
            writer = self._writer = EventWriter(f"gen{pid}@{platform.node()}", pid, self._utcoffset)
        now = self._clock.now()
        return alone([writer.sent(message, now) for message in messages], writer.hostname)


def sent_teller(parts: Parts, options: Options) -> SentTeller | None:
    """None where it is off, or there are no events on this broker."""
    if not options.sent_events or parts.events is None:
        return None
    return SentTeller(parts.events, parts.clock, parts.utcoffset)
