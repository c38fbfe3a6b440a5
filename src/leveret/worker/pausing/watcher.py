"""Looks once a second at what is paused, and has the process go by it."""

import asyncio
import logging

from leveret.errors import BrokerError
from leveret.ports.limiting.pauses import Pause, Pauses
from leveret.worker.consumer import Consumer
from leveret.worker.dispatcher import Dispatcher
from leveret.worker.persist import Persistent

log = logging.getLogger("leveret.worker")

LOOK_SECONDS = 1.0


class PauseWatcher:
    """Owned by the I/O loop. What it learned last holds while the store does not answer."""

    def __init__(self, pauses: Pauses, consumer: Consumer, dispatcher: Dispatcher) -> None:
        self._pauses, self._consumer, self._dispatcher = pauses, consumer, dispatcher
        self._known: frozenset[tuple[str, str]] = frozenset()

    async def look(self, persist: Persistent) -> None:
        """Before the first claim; waits for a store that does not answer, for nobody else knows."""
        self._obey(await persist("look up what is paused", self._pauses.all))

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self._obey(await self._pauses.all())
            except (BrokerError, OSError) as error:
                log.debug("what is paused cannot be looked up: %s", error)

    def _obey(self, pauses: tuple[Pause, ...]) -> None:
        wanted = frozenset((one.kind, one.name) for one in pauses)
        if wanted == self._known:
            return
        fresh, gone, self._known = wanted - self._known, self._known - wanted, wanted
        for kind, name in sorted(fresh):
            log.info("%s %s is paused", kind, name)
        for kind, name in sorted(gone):
            log.info("%s %s is resumed", kind, name)
        queues = frozenset(name for kind, name in wanted if kind == "queue")
        self._dispatcher.intake.rests.order(queues, frozenset(name for kind, name in wanted if kind == "task"))
        self._consumer.pause(queues)
        if fresh:
            # Claimed before, and not begun: handed over again it is not taken, or rests.
            self._dispatcher.retract()
