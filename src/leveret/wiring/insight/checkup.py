"""Gathers what `doctor` judges: servers by their drivers, the household by `logic.insight.checkup`."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar, cast

from leveret.config.settings import Settings
from leveret.errors import LeveretError
from leveret.logic.insight.checkup import check_up
from leveret.model.insight.finding import ALARM, ERROR, Finding, Household, Needs, Scheduled
from leveret.model.limiting.gate import BoundState
from leveret.model.node import Node
from leveret.model.remote.command import CALL_SECONDS, Command
from leveret.model.task import Registry
from leveret.ports.broker import Capability
from leveret.ports.operations.examined import Examined
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import Drivers, open_drivers
from leveret.wiring.insight.machine import open_files
from leveret.wiring.remote.steering import Remote
from leveret.wiring.scheduler import open_schedules, schedule_url

T = TypeVar("T")

SAMPLE = 500
"""Waiting messages whose tasks are looked at."""
LONGEST_LINES = 20
HOUR = 3600.0
REACH_SECONDS = 15.0
"""How long one server may take to answer."""


class Unreachable(Exception):
    """A server did not answer; its finding says all there is to say."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        self.finding = finding


class Doctor:
    """One look at everything an app is set to; nothing is changed."""

    def __init__(
        self, settings: Settings, tasks: Registry, *, queues: tuple[str, ...], remarks: tuple[str, ...]
    ) -> None:
        self._settings, self._tasks, self._queues, self._remarks = settings, tasks, queues, remarks
        self._clock = SystemClock()

    async def examine(self) -> tuple[Finding, ...]:
        """Worst first."""
        try:
            drivers = open_drivers(self._settings, self._clock)
        except LeveretError as error:
            return (_broken("settings", error),)
        try:
            found = await self._examine(drivers)
        except Unreachable as unreachable:
            found = [unreachable.finding]
        finally:
            await drivers.broker.broker(inline=False).close()
        order = {"error": 0, "warning": 1, "note": 2}
        return tuple(sorted(found, key=lambda finding: order[finding.severity]))

    async def _examine(self, drivers: Drivers) -> list[Finding]:
        address = drivers.broker.address
        nodes = await _reach(address, drivers.broker.leases().nodes())
        needs = self._needs(nodes)
        found = list(await _look_at(drivers.broker, address, needs))
        if not drivers.fused and drivers.backend is not None and str(drivers.backend.address) != address:
            results = Needs(results_only=True, processes=needs.processes)
            found += await _look_at(drivers.backend, drivers.backend.address, results)
        asked = () if any(finding.check == ALARM for finding in found) else nodes
        silent = await _reach(address, self._silent(asked))
        return [*found, *check_up(await _reach(address, self._household(drivers, nodes, silent)))]

    def _needs(self, nodes: tuple[Node, ...]) -> Needs:
        longest, task = self._longest()
        return Needs(
            longest_limit=longest,
            longest_task=task,
            processes=sum(node.slots for node in nodes if node.pool == "prefork") + len(nodes),
            queues=self._queues,
        )

    def _longest(self) -> tuple[float | None, str]:
        """The longest time limit, and whose it is."""
        limits = [(self._settings.task_time_limit or 0.0, "by task_time_limit")]
        for name in self._tasks:
            definition = self._tasks.find(name)
            if definition is not None and definition.time_limit:
                limits.append((definition.time_limit, name))
        longest, task = max(limits)
        return (longest or None), task

    async def _household(self, drivers: Drivers, nodes: tuple[Node, ...], silent: tuple[str, ...]) -> Household:
        admin, now = drivers.broker.admin(), self._clock.now()
        counts = await admin.counts()
        letters = await admin.dead(None, 100) if any(count.dead for count in counts) else ()
        return Household(
            now=now,
            address=drivers.broker.address,
            results_address=drivers.results_address,
            nodes=nodes,
            silent=silent,
            nodes_known=Capability.LEASE in drivers.broker.capabilities or drivers.remembers,
            counts=counts,
            routed=self._queues,
            waiting=await admin.sample(SAMPLE) if any(c.ready or c.delayed for c in counts) else (),
            dead_lately=sum(letter.at > now - HOUR for letter in letters),
            schedule=await self._schedule(),
            results_expire=self._settings.result_expires is not None,
            stores_results=drivers.results and drivers.remembers,
            limited=self._limited(),
            keeps_limits=drivers.limiting() is not None,
            lines=await _lines(drivers),
            remarks=self._remarks,
            open_files=open_files(),
        )

    async def _silent(self, nodes: tuple[Node, ...]) -> tuple[str, ...]:
        if not nodes or not self._settings.worker_enable_remote_control:
            return ()
        names = tuple(node.name for node in nodes)
        try:
            caller = Remote(self._settings).caller
            answers = await caller.ask(Command(method="ping", destination=names), CALL_SECONDS, limit=len(names))
        except LeveretError:
            return ()
        heard = {answer.node for answer in answers}
        return tuple(name for name in names if name not in heard)

    async def _schedule(self) -> tuple[Scheduled, ...]:
        if schedule_url(self._settings) is None:
            return ()
        async with open_schedules(self._settings) as store:
            standings = await store.look()
        return tuple(
            # 0: nobody has computed it yet; it has been due since its entry was made.
            Scheduled(name=one.entry.name, due=one.due or (one.cursor if one.due == 0 else None), paused=one.paused)
            for one in standings
            if one is not None
        )

    def _limited(self) -> tuple[str, ...]:
        definitions = (self._tasks.find(name) for name in self._tasks)
        return tuple(
            one.name for one in definitions if one is not None and any(getattr(one, option, None) for option in _LIMITS)
        )


_LIMITS = ("limits", "breaker", "unique", "retry_budget", "fair_by")


async def _lines(drivers: Drivers) -> tuple[BoundState, ...]:
    limiting = drivers.limiting()
    if limiting is None:
        return ()
    return await asyncio.to_thread(limiting.insight().states, LONGEST_LINES)


async def _look_at(driver: Any, address: str, needs: Needs) -> tuple[Finding, ...]:
    if not hasattr(driver, "examine"):
        return ()
    return await _reach(address, cast(Examined, driver).examine(needs))


async def _reach(address: str, work: Awaitable[T]) -> T:
    """What a server answers, or one line about why it does not."""
    try:
        async with asyncio.timeout(REACH_SECONDS):
            return await work
    except (LeveretError, OSError, TimeoutError) as error:
        raise Unreachable(_broken(address, error)) from error


def _broken(where: str, error: Exception) -> Finding:
    text = " ".join(str(error).split()) or f"no answer within {REACH_SECONDS:g} s"
    return Finding(
        severity=ERROR,
        check="unreachable",
        where=where,
        text=text,
        change="start it, or name the right one: broker_url, result_backend",
    )
