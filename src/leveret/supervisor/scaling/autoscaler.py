"""Looks at the queues once a second and has the pool grow or shrink."""

import asyncio
from typing import Protocol

from leveret.errors import BrokerError
from leveret.logic.pools.scaling import Limits, Load, Past, scale
from leveret.ports.admin import Admin
from leveret.ports.clock import Clock
from leveret.supervisor.options import Log

LOOK_SECONDS = 1.0


class Sized(Protocol):
    """`Pool`, as far as it is scaled."""

    @property
    def slots(self) -> int: ...

    def busy(self) -> int: ...

    async def resize(self, by: int) -> int: ...


class Autoscaler:
    """`run` beside the node; `limits` may be changed at any time, on the same loop."""

    def __init__(
        self, pool: Sized, admin: Admin, queues: tuple[str, ...], limits: Limits, clock: Clock, log: Log
    ) -> None:
        self._pool, self._admin, self._queues = pool, admin, queues
        self._clock, self._log = clock, log
        self._past, self._failed = Past(), False
        self.limits = limits

    async def run(self) -> None:
        """Until cancelled. A broker that does not answer changes nothing."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            load = await self._look()
            if load is None or not load.slots:
                continue
            self._past, wanted = scale(self._past, load, self.limits, self._clock.monotonic())
            if wanted != load.slots:
                await self._pool.resize(wanted - load.slots)
                self._log("info", "the pool is resized", slots=wanted, before=load.slots, waiting=load.waiting)

    async def _look(self) -> Load | None:
        try:
            counts = await self._admin.counts(self._queues)
        except (BrokerError, OSError) as error:
            if not self._failed:
                self._log("warning", "the queues cannot be looked at; the pool stays as it is", error=error)
            self._failed = True
            return None
        self._failed = False
        oldest = [one.oldest for one in counts if one.oldest is not None]
        return Load(
            slots=self._pool.slots,
            busy=self._pool.busy(),
            waiting=sum(one.ready for one in counts),
            waited=self._clock.now() - min(oldest) if oldest else None,
        )
