"""The driver's periodic upkeep, in small steps, for as long as the worker runs."""

import asyncio
import logging

from leveret.errors import BrokerError
from leveret.logic.retry import reconnect_delay
from leveret.ports.clock import Clock
from leveret.ports.leases import Chores

log = logging.getLogger("leveret.worker")


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
