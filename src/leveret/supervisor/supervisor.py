"""One node: starts worker processes, watches them, replaces them, keeps the node's lease. No user code runs here."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from leveret.errors import LeveretError
from leveret.model.control import Testify
from leveret.model.node import Pulse, Session, Testimony
from leveret.ports.clock import Clock
from leveret.ports.driver import Witness
from leveret.ports.leases import Chores, Leases
from leveret.supervisor.child import Child, end_those_still_starting, say_what_is_waited_for, stop_now, tell_all
from leveret.supervisor.deaths.custody import Custody
from leveret.supervisor.forkserver import become_subreaper
from leveret.supervisor.lease import LeaseKeeper, keep_up
from leveret.supervisor.nursery import AppDoesNotImport, Forkserver
from leveret.supervisor.options import SupervisorHooks, SupervisorOptions
from leveret.supervisor.place import NodeParts, Place, Quarantine
from leveret.supervisor.scaling.autoscaler import Autoscaler
from leveret.supervisor.scaling.pool import Pool
from leveret.supervisor.signals import Orders, Signals
from leveret.supervisor.slots import RunFolder
from leveret.supervisor.source import ChildSource, GaveUp
from leveret.supervisor.statuses import Statuses, kill
from leveret.supervisor.telling.account import Account

_LOOK_SECONDS: Final = 1.0
_DEBT_SECONDS: Final = 5.0
"""How long a node that stops waits for a store that does not take its charges: its lease ends then instead."""


class Supervisor:
    """`start()` before any thread or loop exists, then `await run()`; or `supervise(supervisor)` for both."""

    def __init__(
        self,
        options: SupervisorOptions,
        leases: Leases,
        clock: Clock,
        hooks: SupervisorHooks | None = None,
        chores: Chores | None = None,
        witness: Witness | None = None,
    ) -> None:
        self._options, self._worker, self._hooks = options, options.worker, hooks or SupervisorHooks()
        self._log = self._hooks.log
        self._leases, self._clock, self._chores = leases, clock, chores
        self._witness, self._testimonies = witness, 0
        if witness is not None:
            witness.on_testimony(self._spread)
        self._statuses = Statuses()
        self._source = ChildSource(options, self._statuses, self._log)
        self.keeper = LeaseKeeper(
            leases, options.worker.node, clock,
            lease_seconds=options.lease_seconds, sessions=self._sessions, log=self._log,
        )  # fmt: skip
        self.parts: NodeParts
        self.places: list[Place] = []
        self.pool = Pool(self, options.worker)
        self.autoscaler: Autoscaler | None = None
        self.account = Account(options.worker.task_events, self.children, options.worker.processes)
        self._quarantine: Quarantine | None = None
        self._stop, self._softly, self._registered = asyncio.Event(), False, False
        self._reloading = asyncio.Lock()
        self.companions: list[Callable[[], Coroutine[Any, Any, None]]] = []  # beside the node: scheduler, herald
        self._tasks, self._tending, self._code = set[asyncio.Task[None]](), set[asyncio.Task[None]](), 0

    def start(self) -> None:
        """Fork the forkserver."""
        self._source.fork_early()

    def adopt(self, forkserver: Forkserver) -> None:
        """Instead of `start`: use one that was forked earlier, to learn what the app is."""
        self._source.adopt(forkserver)

    async def run(self) -> int:
        """Serve until told to stop; answers the exit code."""
        become_subreaper()
        folder = RunFolder()
        with Signals(Orders(self.stop, self.interrupt, self.quit, self.reload, self.dump)):
            try:
                if await self._open():
                    await self._serve(folder.path)
            finally:
                await self._close()
                folder.close()
        return self._code

    # Orders: called on the loop, by a signal or by whoever runs us.

    def stop(self) -> None:
        """Warm stop: what runs is finished, the rest is given back."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._close_places(None, "stopping")
        self._later(say_what_is_waited_for(self.children, self._hooks, self._options.say_every_seconds))
        self._later(end_those_still_starting(self.children))

    def interrupt(self) -> None:
        """Warm stop; at the second time stop now."""
        if self._stop.is_set():
            self.quit()
        else:
            self.stop()

    def quit(self) -> None:
        """Stop now, giving everything back; `soft_shutdown_timeout` lets what runs finish for so long, once."""
        soft = 0.0 if self._softly else self._worker.soft_shutdown_timeout
        self._softly = True
        self.stop()
        if soft:
            self._close_places(soft, "stopping now")
        self._later(stop_now(self.children, after=soft, answer=self._options.answer_seconds))

    def reload(self) -> None:
        """Replace the forkserver, then the children one by one."""
        if not self._stop.is_set():
            self._later(self._reload())

    def dump(self) -> None:
        """Have every child write its stacks to its standard error."""
        for child in self.children():
            kill(child.pid, signal.SIGUSR1)

    # Opening.

    async def _open(self) -> bool:
        """Register the node while the forkserver imports the app; False when that fails or we are told to stop."""
        opening = asyncio.ensure_future(self._prepare())
        stopped = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not opening.done():
            opening.cancel()
            return False
        try:
            opening.result()
        except (AppDoesNotImport, GaveUp) as error:
            self._fail(error)
            return False
        return True

    async def _prepare(self) -> None:
        registering = asyncio.ensure_future(self.keeper.register())
        try:
            await self._source.open()
            await registering
            self._registered = True
        finally:
            registering.cancel()

    # Serving.

    async def _serve(self, folder: Path) -> None:
        self.parts = NodeParts(
            options=self._options, hooks=self._hooks, leases=self._leases, clock=self._clock,
            source=self._source, statuses=self._statuses, folder=folder, on_suspects=self._start_quarantine,
            custody=None if self._witness is None else Custody(folder, self._log),
            witness=self._witness, account=self.account,
        )  # fmt: skip
        for _ in range(self._worker.processes):
            self.add_place()
        self._later(announce(tuple(self.places), self.account, self._hooks))
        self._later(self._watch())
        self._later(self.keeper.run(self._hear_pulse))
        for companion in self.companions:
            self._later(companion())
        if self._chores is not None:
            self._later(keep_up(self._chores, self._log, retry_seconds=self._options.lease_seconds / 4))
        while self._tending or await self._suspects_left():
            done, _ = await asyncio.wait(set(self._tending), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._tending.discard(task)
                if (error := task.exception()) is not None:
                    self._fail(error)
        await _all(self.parts.burials, None)
        await _all(self.parts.debts, _DEBT_SECONDS)
        self.parts.close()

    async def _spread(self, told: tuple[Testimony, ...]) -> None:
        self._testimonies += 1
        await tell_all(self.children(), Testify(self._testimonies, told), self._options.answer_seconds)

    def add_place(self) -> None:
        """One worker process more."""
        self.places.append(Place(self.parts, self._worker))
        self._tend(self.places[-1])

    def _tend(self, place: Place) -> None:
        self._tending.add(asyncio.ensure_future(place.run()))

    def _fail(self, error: BaseException) -> None:
        """Nothing can start: say why, let who lives finish, end with an exit code."""
        self._code = 1
        self._log("error", "this node gives up", error=error if isinstance(error, LeveretError) else repr(error))
        self.stop()

    async def _suspects_left(self) -> bool:
        """A burst ends when the suspects have been tried too."""
        if self._stop.is_set() or not self._worker.burst:
            return False
        pulse = await self.keeper.beat_once()
        if pulse is None or not pulse.suspects:
            return False
        self._start_quarantine()
        return True

    def _hear_pulse(self, pulse: Pulse) -> None:
        if pulse.suspects:
            self._start_quarantine()
        elif self._quarantine is not None:
            self._quarantine.rest(self._options.quarantine_idle_seconds)

    def _start_quarantine(self) -> None:
        if self._stop.is_set():
            return
        if self._quarantine is None or self._quarantine.closed:
            self._quarantine = Quarantine(self.parts, self._worker)
            self._tend(self._quarantine)
        self._quarantine.wanted()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for place in self._all_places():
                place.watch()
            alive = {child.pid for child in self.children()}
            self._statuses.sweep(alive.__contains__)

    async def _reload(self) -> None:
        async with self._reloading:
            self._hooks.on_renew()
            try:
                await self._source.renew()
            except LeveretError as error:
                self._log("error", "the new code does not import; the old goes on", error=error)
                return
            for place in self.places:
                place.retire("reload")
                await place.ready_child()
            self._log("info", "every worker process was replaced")
            self._hooks.on_reload()

    # Stopping.

    def _close_places(self, grace: float | None, reason: str) -> None:
        for place in self._all_places():
            place.close(grace, reason)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._source.close()
        if self._registered:
            await self.keeper.leave()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _all_places(self) -> list[Place]:
        # Those of a pool that shrank are closed, and counted until their processes have ended.
        self.places = [place for place in self.places if not place.closed or place.children()]
        return [*self.places, *([self._quarantine] if self._quarantine else [])]

    def children(self) -> list[Child]:
        return [child for place in self._all_places() for child in place.children()]

    def _sessions(self) -> tuple[Session, ...]:
        sessions = [child.as_session() for child in self.children()]
        return tuple(session for session in sessions if session is not None)


async def announce(places: tuple[Place, ...], account: Account, hooks: SupervisorHooks) -> None:
    """Tell when every child is ready for the first time."""
    pids = []
    for place in places:
        child = await place.ready_child()
        if child is None:
            return
        pids.append(child.pid)
    account.appoint()
    hooks.on_ready(tuple(pids))


async def _all(tasks: set[asyncio.Task[None]], timeout: float | None) -> None:
    if tasks:
        await asyncio.wait(set(tasks), timeout=timeout)


def supervise(supervisor: Supervisor) -> int:
    """Fork the forkserver, then run the loop; answers the exit code."""
    supervisor.start()
    return asyncio.run(supervisor.run())
