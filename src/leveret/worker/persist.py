"""Asking a broker until it answers: an outage delays a worker, it never ends it and never loses a batch."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from leveret.errors import BrokerError, LeaseLost
from leveret.logic.retry import reconnect_delay
from leveret.ports.clock import Clock

T = TypeVar("T")
log = logging.getLogger("leveret.worker")


class Persistent:
    """Repeats a call with full-jitter back-off while the broker cannot answer. One per worker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.failures = 0
        """Calls in a row that failed; the watch for whoever reconciles after an outage."""
        self.outages = 0

    async def __call__(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Answers what `call` answers in the end. `LeaseLost` and what is no broker's fault are raised."""
        failures = 0
        while True:
            try:
                answer = await call()
            except LeaseLost:
                raise
            except BrokerError as error:
                failures += 1
                self._failed(what, error, failures)
                await asyncio.sleep(reconnect_delay(failures, self._clock.jitter()))
            else:
                if failures:
                    log.warning("broker answers again after %d attempts (%s)", failures, what)
                return answer

    def _failed(self, what: str, error: BrokerError, failures: int) -> None:
        self.failures += 1
        if failures == 1:
            self.outages += 1
            log.warning("broker does not answer (%s): %s; trying again", what, error)
