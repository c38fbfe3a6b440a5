"""Keeps the node's lease: registers, renews, and never stops a child because a broker is out."""

import asyncio
from collections.abc import Callable
from typing import Final

from leveret.errors import BrokerError
from leveret.model.node import Node, Pulse, Session
from leveret.ports.clock import Clock
from leveret.ports.leases import Chores, Leases
from leveret.supervisor.options import Log

_FIRST_RETRY: Final = 0.2
_EARLY_BEATS: Final = 6
_AFTER_THE_LOSS: Final = 0.02
"""A beat that comes a little too early would find nothing."""
_NAMESAKE: Final = (
    "DuplicateNodename: another live node of this store has this node's name; both work, but status and a restart "
    "cannot tell them apart: give each its own, as in -n w1@%h"
)


class LeaseKeeper:
    """`sessions` answers those of the children alive now; `on_pulse` hears every answer of the store."""

    def __init__(
        self,
        leases: Leases,
        node: Node,
        clock: Clock,
        *,
        lease_seconds: float,
        sessions: Callable[[], tuple[Session, ...]],
        log: Log,
    ) -> None:
        self._leases = leases
        self._node = node
        self._clock = clock
        self._period = lease_seconds / 4
        self._sessions = sessions
        self._log = log
        self._failures = 0
        self._told: set[str] = set()
        """Incarnations of our namesakes that were warned of."""

    async def register(self) -> None:
        """Announce the node, which takes over a dead predecessor's work; returns when the store has it."""
        while True:
            try:
                await self._leases.register(self._node, self._sessions())
            except BrokerError as error:
                await self._outage(error)
            else:
                self._over()
                return

    async def run(self, on_pulse: Callable[[Pulse], None]) -> None:
        """Beat until cancelled; once a second at first, while what a predecessor left may still come back to us."""
        early = _EARLY_BEATS
        await self._warn_of_namesakes(at_once=True)
        look_again: float | None = self._clock.monotonic() + self._period * 6
        while True:
            pulse = await self._beat()
            if look_again is not None and self._clock.monotonic() >= look_again:
                look_again = None
                await self._warn_of_namesakes(at_once=False)
            if pulse is not None:
                on_pulse(pulse)
            early -= 1
            await asyncio.sleep(min(self._pause(pulse), 1.0 if early > 0 else self._period))

    def _pause(self, pulse: Pulse | None) -> float:
        """Until the next beat: a healthy node renews long before its lease runs out, so the earlier ones are rare."""
        if pulse is None or pulse.next_loss is None:
            return self._period
        return min(self._period, pulse.next_loss + _AFTER_THE_LOSS)

    async def _warn_of_namesakes(self, *, at_once: bool) -> None:
        """Both go on working, but nobody can tell them apart. What a start of this machine does not know may be a dead
        predecessor; one that is still there after its lease is not."""
        try:
            nodes = await self._leases.nodes()
        except BrokerError:
            return
        for other in nodes:
            if other.name != self._node.name or other.incarnation in (self._node.incarnation, *self._told):
                continue
            if other.boot == self._node.boot or not at_once:
                self._told.add(other.incarnation)
                self._log("warning", _NAMESAKE, name=other.name, pid=other.pid)

    async def change(self, node: Node) -> None:
        """Its queues or slots are others now; a store that does not answer hears of it with the next registration."""
        self._node = node
        try:
            await self._leases.register(node, self._sessions())
        except BrokerError as error:
            self._log("warning", "the store did not hear that this node has changed", error=error)

    async def leave(self) -> None:
        """Say goodbye; a store that does not answer finds out by the lease."""
        try:
            async with asyncio.timeout(self._period):
                await self._leases.leave(self._node)
        except (BrokerError, TimeoutError) as error:
            self._log("warning", "the store did not hear that this node stopped; its lease will end", error=error)

    async def beat_once(self) -> Pulse | None:
        """Beat now, outside the rhythm; None when the store does not answer."""
        try:
            async with asyncio.timeout(self._period):
                return await self._leases.beat(self._node)
        except (BrokerError, TimeoutError):
            return None

    async def _beat(self) -> Pulse | None:
        try:
            async with asyncio.timeout(self._period * 2):
                pulse = await self._leases.beat(self._node)
                if pulse.revived:
                    self._log("warning", "this node's lease had ended; its sessions register again")
                    await self._leases.register(self._node, self._sessions())
        except Exception as error:  # an actor's loop: whatever a store does, the next beat is tried
            await self._outage(error)
            return None
        self._over()
        return pulse

    async def _outage(self, error: Exception) -> None:
        if not self._failures:
            self._log("warning", "the store cannot be reached; children go on, renewing is tried again", error=error)
        self._failures += 1
        # Full jitter: a fleet that lost one store must not come back in step.
        await asyncio.sleep(self._clock.jitter() * min(self._period, _FIRST_RETRY * 2.0 ** min(self._failures, 16)))

    def _over(self) -> None:
        if self._failures:
            self._log("info", "the store answers again", failures=self._failures)
        self._failures = 0


async def keep_up(chores: Chores, log: Log, *, retry_seconds: float) -> None:
    """Do the store's upkeep until cancelled."""
    while True:
        try:
            delay = await chores.upkeep()
        except BrokerError as error:
            log("warning", "upkeep of the store failed and is tried again", error=error)
            delay = retry_seconds
        await asyncio.sleep(delay)
