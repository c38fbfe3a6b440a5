"""A node's figures as StatsD datagrams: sent every few seconds, never waited for, dropped where they cannot go."""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from leveret.model.telling.tally import TaskTally
from leveret.ports.admin import Admin
from leveret.ports.clock import Clock
from leveret.ports.leases import Leases
from leveret.supervisor.telling.account import Account
from leveret.supervisor.telling.lines import Dialect, packets, since
from leveret.supervisor.telling.queues import age, consumers, look

log = logging.getLogger("leveret.supervisor")

RESOLVE_SECONDS = 60.0
"""How long an address is believed: a service may move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsdOptions:
    host: str
    port: int
    interval: float
    dialect: Dialect


class Wire:
    """A datagram socket that never blocks. Not connected: who does not listen now may do so later."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        self._host, self._port, self._clock = host, port, clock
        self._socket: socket.socket | None = None
        self._address: Any = None
        self._resolved = 0.0
        self._failing = False
        self.dropped = 0
        """Datagrams."""

    async def prepare(self) -> None:
        """Look the address up, on a thread, when it is time."""
        now = self._clock.monotonic()
        if self._address is not None and now - self._resolved < RESOLVE_SECONDS:
            return
        self._resolved = now
        try:
            found = await asyncio.get_running_loop().getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        except OSError as error:
            self._failed(error)
            return
        family, _, _, _, self._address = found[0]
        if self._socket is None or self._socket.family != family:
            self.close()
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    def send(self, datagrams: Sequence[bytes]) -> None:
        for datagram in datagrams:
            if self._socket is None:
                self.dropped += 1
                continue
            try:
                self._socket.sendto(datagram, self._address)
                self._failing = False
            except OSError as error:  # a full buffer is one, too
                self.dropped += 1
                self._failed(error)

    def _failed(self, error: OSError) -> None:
        if not self._failing:
            log.warning("metrics cannot be sent to StatsD at %s:%s: %s", self._host, self._port, error)
        self._failing = True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Statsd:
    """A companion of the supervisor; `run` until cancelled."""

    def __init__(self, options: StatsdOptions, account: Account, admin: Admin, leases: Leases, clock: Clock) -> None:
        self._options, self._dialect = options, options.dialect
        self._account, self._admin, self._leases, self._clock = account, admin, leases, clock
        self._node = dict(options.dialect.everywhere or {})
        self._told: tuple[TaskTally, ...] = ()
        self._told_deaths: Counter[str] = Counter()
        self.wire = Wire(options.host, options.port, clock)
        self.deaths: Counter[str] = Counter()
        """Processes that died, by reason."""

    async def run(self) -> None:
        try:
            while True:
                await self.wire.prepare()
                self._send([*self._counted(), *self._standing(), *await self._queues()])
                await asyncio.sleep(self._options.interval)
        finally:
            # The processes are gone, and have said what they did last.
            self._send(self._counted())
            self.wire.close()

    def _send(self, lines: Sequence[bytes]) -> None:
        self.wire.send(packets(lines))

    def _counted(self) -> list[bytes]:
        """What was added since it was last told. What is dropped is not told again: nobody knows what arrived."""
        tasks, deaths = self._account.tasks(), Counter(self.deaths)
        lines = self._dialect.runs(since(self._told, tasks))
        for reason, count in (deaths - self._told_deaths).items():
            lines.append(self._dialect.line("process_deaths", {"reason": reason}, count, "c"))
        self._told, self._told_deaths = tasks, deaths
        return lines

    def _standing(self) -> list[bytes]:
        """Gauges of the node itself."""
        return [
            self._dialect.line("tasks_running", self._node, self._account.total().active, "g"),
            self._dialect.line("worker_processes", self._node, self._account.processes(), "g"),
            self._dialect.line("ready", self._node, not self._account.not_ready(), "g"),
        ]

    async def _queues(self) -> list[bytes]:
        seen = await look(self._admin, self._leases)
        if seen is None:
            return [self._dialect.line("broker_up", self._node, 0, "g")]
        now, lines = self._clock.now(), [self._dialect.line("broker_up", self._node, 1, "g")]
        for one in seen.counts:
            queue: Mapping[str, str] = {"queue": one.queue}
            states = (("ready", one.ready), ("delayed", one.delayed), ("claimed", one.claimed))
            lines += [
                self._dialect.line("queue_messages", {**queue, "state": state}, value, "g")
                for state, value in states
                if value is not None
            ]
            if not one.ready or one.oldest is not None:
                lines.append(self._dialect.line("queue_latency_seconds", queue, age(one, now), "g"))
            lines.append(self._dialect.line("dead_letters", queue, one.dead, "g"))
            lines.append(self._dialect.line("queue_consumers", queue, consumers(one, seen.served), "g"))
        return lines
