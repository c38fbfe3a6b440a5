"""What a worker does beside its tasks: the driver's periodic upkeep, and what dead senders left half-sent."""

import asyncio
import logging

from leveret.errors import BrokerError
from leveret.logic.retry import reconnect_delay
from leveret.ports.broker import Broker
from leveret.ports.clock import Clock
from leveret.ports.leases import Chores
from leveret.ports.outbox import Outbox

log = logging.getLogger("leveret.worker")

SWEEP_SECONDS = 10.0
SWEPT_AT_ONCE = 10
"""Compositions sent in one sweep."""


class ChoreRunner:
    """Calls `upkeep` when the driver asks for it."""

    def __init__(self, chores: Chores, clock: Clock) -> None:
        self._chores, self._clock = chores, clock

    async def run(self) -> None:
        """Keep up until cancelled."""
        failures = 0
        while True:
            try:
                wait, failures = await self._chores.upkeep(), 0
            except BrokerError as error:
                failures += 1
                wait = reconnect_delay(failures, self._clock.jitter(), base=0.5, maximum=10.0)
                log.log(logging.WARNING if failures == 1 else logging.DEBUG, "upkeep failed: %s", error)
            except Exception:
                wait = 5.0
                log.exception("upkeep failed")
            await asyncio.sleep(wait)


class Sweeper:
    """Sends what its sender wrote down and never said to have sent. Any number of workers may do the same: all of it
    has ids that are stopped at the door."""

    def __init__(self, outbox: Outbox, broker: Broker, clock: Clock) -> None:
        self._outbox, self._broker, self._clock = outbox, broker, clock

    async def run(self) -> None:
        """Sweep until cancelled; not in step with other workers."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS * (0.5 + self._clock.jitter()))
            try:
                await self.sweep()
            except BrokerError as error:
                log.warning("what a sender left half-sent cannot be sent now: %s", error)
            except Exception:
                log.exception("a sweep failed")

    async def sweep(self) -> int:
        """Send what is overdue; answers how many compositions that were."""
        overdue = await self._outbox.overdue(SWEPT_AT_ONCE)
        for unsent in overdue:
            log.warning(
                "%s was left half-sent by whoever began it: all %d messages are sent", unsent.id, len(unsent.postings)
            )
            await self._broker.publish(unsent.postings)
            await self._outbox.sent((unsent.id,))
        return len(overdue)
