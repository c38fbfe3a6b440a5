"""One place of a node: at any time one child is in it. Starts it, watches it, settles its estate, starts the next."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from leveret.errors import BrokerError
from leveret.logic.restart import Died, Drained, Ending, GiveUp, Restart, Streak, Unready, restart
from leveret.model.node import Node
from leveret.model.options import WorkerOptions
from leveret.model.remote.steering import Steering
from leveret.ports.clock import Clock
from leveret.ports.driver import Witness
from leveret.ports.leases import Leases
from leveret.supervisor.child import Child, Finding, Patience, State, overdue
from leveret.supervisor.deaths.custody import Custody
from leveret.supervisor.deaths.estate import (
    STUCK,
    TIME_LIMIT,
    Death,
    Estate,
    OutOfMemoryMeter,
    reason_of,
    settle_estate,
)
from leveret.supervisor.options import SupervisorHooks, SupervisorOptions
from leveret.supervisor.slots import SlotReader, make_page, remove_page
from leveret.supervisor.source import ChildSource, GaveUp
from leveret.supervisor.statuses import Statuses
from leveret.supervisor.telling.account import Account

T = TypeVar("T")

BURST = "burst"
"""The reason a child gives in `Drained` when its queues are empty and it was asked to end then: it is not replaced."""

_REAP_PATIENCE = 1.0
"""The next child is started when the estate is settled, or after so long: it cannot work without the store anyway."""
_LINGER = 2.0
_MOST_TOLD = 500
"""Messages a new process is told of; those who died last are those that come again."""


@dataclass(slots=True, kw_only=True)
class NodeParts:
    """What the places of one node share; `unready` (deaths in a row before anything was ready) is the node's."""

    options: SupervisorOptions
    hooks: SupervisorHooks
    leases: Leases
    clock: Clock
    source: ChildSource
    statuses: Statuses
    folder: Path
    on_suspects: Callable[[], None]
    meter: OutOfMemoryMeter = field(default_factory=OutOfMemoryMeter)
    node: Node | None = None
    """What the node is by now, where its pool was resized: a process announces it with itself."""
    proven: bool = False
    """Some child of this node has been ready: what cannot start from now on is tried again."""
    unready: int = 0
    account: Account = field(default_factory=Account)
    pages: int = 0
    custody: Custody | None = None
    """Their broker connections, where the broker would not wait for the charges."""
    witness: Witness | None = None
    steering: Steering = field(default_factory=Steering)
    """What remote control changed."""
    total: Counter[str] = field(default_factory=Counter)
    """Tasks that processes took which have ended, by name."""
    burials: set[asyncio.Task[None]] = field(default_factory=set)
    """Children that are listened to until they are dead and buried, those that were retired included."""
    debts: set[asyncio.Task[None]] = field(default_factory=set)
    """What the store must still be told, while the place already goes on."""

    def patience(self) -> Patience:
        options = self.options
        return Patience(stall=options.stall_seconds, unsettled=options.unsettled_seconds, answer=options.answer_seconds)

    def let_go(self, session: str) -> None:
        """That session's connection is of no use to its process any more."""
        if self.custody is not None:
            self.custody.release(session)

    def collect(self) -> None:
        """Take over the connections that processes have made since."""
        if self.custody is not None:
            self.custody.collect()

    def close(self) -> None:
        if self.custody is not None:
            self.custody.close()

    def as_it_is(self, options: WorkerOptions) -> WorkerOptions:
        """What a process that is started now is told of the node."""
        node = options.node if self.node is None else self.node
        return replace(options, node=node, steering=self.steering, task_events=self.account.task_events)

    def owe(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self.debts.add(task)
        task.add_done_callback(self.debts.discard)
        return task


class Place:
    """`run` until the place is closed; `child` is the one in it now, `leaving` those that were replaced already."""

    def __init__(self, parts: NodeParts, options: WorkerOptions) -> None:
        self._parts = parts
        self._options = options
        self._streak = Streak()
        self._closing = asyncio.Event()
        self._patience = parts.patience()
        self.child: Child | None = None
        self.leaving: list[Child] = []
        self._changed = asyncio.Event()
        """Set, and replaced by a fresh one, when a child became ready or ended, or the place closed."""

    async def run(self) -> None:
        """Keep a child in this place. Raises `GaveUp` when none starts, however often it is tried."""
        try:
            while (child := await self._until_closed(self._launch())) is not None:
                self.child = child
                ending = await self._attend(child)
                self.child = None
                self._change()
                await self._until_closed(asyncio.sleep(self._delay(ending)))
        finally:
            self._closing.set()
            self._change()

    def close(self, grace: float | None, reason: str) -> None:
        """Start nobody any more; ask who is here to end."""
        self._closing.set()
        self._change()
        for child in self.children():
            child.quiet(grace, reason)

    @property
    def closed(self) -> bool:
        return self._closing.is_set()

    async def ready_child(self) -> Child | None:
        """Wait until the one in this place is ready; None when the place closes first."""
        while not self._closing.is_set():
            if self.child is not None and self.child.state is State.READY:
                return self.child
            await self._changed.wait()
        return None

    def children(self) -> tuple[Child, ...]:
        """Those that live."""
        known = (*([self.child] if self.child else []), *self.leaving)
        return tuple(child for child in known if child.state is not State.DEAD)

    def resize(self, slots: int, reason: str) -> None:
        """Have so many slots in its process from now on."""
        self._options = replace(self._options, slots=slots)
        self.retire(reason)

    def retire(self, reason: str) -> None:
        """Let the present child end in its own time and start the next one now."""
        child = self.child
        if child is None or child in self.leaving or child.state is State.DEAD:
            return
        child.quiet(None, reason)
        self.leaving.append(child)
        child.spoke.set()

    def watch(self) -> None:
        """Look at the pages; called about once a second."""
        self._parts.collect()
        for child in self.children():
            if child.state is not State.STARTING:
                self._look(child)

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _launch(self) -> Child:
        parts = self._parts
        parts.pages += 1
        path = parts.folder / f"page-{parts.pages}"
        make_page(path, self._options.slots)
        known = parts.witness.known() if parts.witness is not None else ()
        options = replace(parts.as_it_is(self._options), page=str(path), testimony=known[-_MOST_TOLD:])
        launched = await parts.source.launch(options)
        return Child(options, launched, SlotReader(path), parts.clock.monotonic())

    async def _attend(self, child: Child) -> Ending:
        """Return when the next child may be started: this one is buried, or was retired."""
        burial = asyncio.ensure_future(self._see_off(child))
        self._parts.burials.add(burial)
        burial.add_done_callback(self._parts.burials.discard)
        while not burial.done() and child not in self.leaving:
            child.spoke.clear()
            spoken = asyncio.ensure_future(child.spoke.wait())
            await asyncio.wait({burial, spoken}, return_when=asyncio.FIRST_COMPLETED)
            spoken.cancel()
            if child.state is State.READY:
                self._parts.unready, self._parts.proven = 0, True
                self._change()
                if child.leaving:
                    # Its neighbours' long tasks must not keep the slots beside them empty.
                    self.retire(child.leaving)
        if child in self.leaving and not burial.done():
            return Drained()
        burial.result()
        return self._ending(child)

    async def _see_off(self, child: Child) -> None:
        """Listen to a child until it is dead, then settle its estate."""
        listening = asyncio.ensure_future(self._listen(child))
        code = await self._parts.statuses.wait(child.pid, child.launched.poll)
        listening.cancel()
        for message in child.launched.channel.rest():
            child.hear(message, self._parts.clock.monotonic())
        child.died()
        if child.drained is not None:
            self._parts.total.update(child.drained.total)
        await self._bury(child, code)
        if child in self.leaving:
            self.leaving.remove(child)
            self._change()

    async def _listen(self, child: Child) -> None:
        while (message := await child.launched.channel.read()) is not None:
            before = child.session
            child.hear(message, self._parts.clock.monotonic())
            if before not in (None, child.session):
                self._parts.let_go(str(before))
        # It closed its line: it is ending. One that then lingers (a thread of user code) is ended.
        await asyncio.sleep(_LINGER)
        child.kill("its line was closed", forgive=child.drained is not None)

    async def _bury(self, child: Child, code: int | None) -> None:
        """First the charges and what it held, then the event, then (by returning) the replacement."""
        parts, page = self._parts, child.page.view()
        parts.account.close(child)
        reason = child.killed_for or reason_of(code, out_of_memory=code == -9 and parts.meter.rose())
        orderly = child.drained is not None or child.forgiven
        now = parts.clock.now()
        death = Death(session=child.session, reason=reason, at=now, orderly=orderly, overdue=child.overdue)
        estate = settle_estate(death, page)
        if estate is not None:
            await asyncio.wait({parts.owe(self._settle(estate))}, timeout=_REAP_PATIENCE)
        ran = estate.ran if estate else ()
        tell_of_end(parts.hooks, child, reason, ran, orderly=orderly)
        child.launched.channel.close()
        child.page.close()
        remove_page(child.options.page, page.slots)

    async def _settle(self, estate: Estate) -> None:
        """Until the store has it: a charge lost is a killer that runs once more."""
        parts, delay = self._parts, 0.05
        while True:
            try:
                if estate.keep is not None:
                    await parts.leases.release(estate.reaping.session, estate.keep)
                await parts.leases.reap((estate.reaping,))
            except Exception as error:  # whatever the store does, a charge must not be lost
                parts.hooks.log(
                    "error", "the store did not take a dead child's charges; trying again", error=repr(error)
                )
                await asyncio.sleep(delay * (0.5 + parts.clock.jitter()))
                delay = min(delay * 2, 5.0)
            else:
                break
        # Only now may the broker hand over again what it held.
        parts.let_go(estate.reaping.session)
        if estate.reaping.suspect_others:
            parts.on_suspects()

    def _ending(self, child: Child) -> Ending:
        if child.drained is not None and child.drained.reason == BURST:
            self._closing.set()
        if child.drained is not None or child.forgiven:
            return Drained()
        if child.broken is not None or child.ready_at is None:
            if child.broken is not None and child.broken.permanent and not self._parts.proven:
                raise GaveUp(child.broken.error)
            return Unready()
        return Died(self._parts.clock.monotonic() - child.ready_at)

    def _delay(self, ending: Ending) -> float:
        parts = self._parts
        streak = Streak(unready=parts.unready, quick=self._streak.quick)
        self._streak, decision = restart(parts.options.restart, streak, ending)
        parts.unready = self._streak.unready
        if isinstance(decision, GiveUp) and not self._closing.is_set():
            raise GaveUp(f"worker processes died {decision.deaths} times in a row before they were ready")
        return decision.delay if isinstance(decision, Restart) else 0.0

    async def _until_closed(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do `work`, or stop doing it when the place closes. A process that was being forked then sees its line end."""
        if self._closing.is_set():
            work.close()
            return None
        doing, closing = asyncio.ensure_future(work), asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({doing, closing}, return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() and not self._closing.is_set() else None
        finally:
            doing.cancel()
            closing.cancel()

    def _look(self, child: Child) -> None:
        parts = self._parts
        page, now = child.page.view(), parts.clock.now()
        match child.vigil.look(page, self._patience, monotonic=parts.clock.monotonic(), now=now):
            case Finding.HOLD:
                self._hold(child)
            case Finding.STUCK:
                parts.hooks.log("error", "worker process does not answer and is replaced", pid=child.pid)
                child.kill(STUCK)
            case Finding.OVERDUE:
                late = overdue(page, now - self._patience.answer)
                parts.hooks.log("error", "worker process does not conclude a time limit and is killed", pid=child.pid)
                child.kill(TIME_LIMIT, overdue=late)
            case Finding.RECOVERED if child is self.child:
                # What it had not begun belongs to others by now, so it may start nothing more.
                parts.hooks.log("info", "worker process answers again and is replaced", pid=child.pid)
                self.retire("did not answer")
            case Finding.FINE | Finding.RECOVERED:
                return

    def _hold(self, child: Child) -> None:
        parts = self._parts
        child.page.set_hold(True)
        log = parts.hooks.log
        log("warning", "worker process does not answer while a task runs; the rest goes to others", pid=child.pid)
        parts.owe(self._take_back(child))

    async def _take_back(self, child: Child) -> None:
        """Give back all it has not begun. The page is read after `hold` was set, so nothing begins in between."""
        if child.session is None:
            return
        page = child.page.view()
        try:
            await self._parts.leases.release(child.session, tuple(running.receipt for running in page.running))
            if self._parts.custody is not None:
                self._parts.custody.sever(child.session)
        except BrokerError as error:
            # Look again: without the flag the next look tries once more.
            child.page.set_hold(False)
            self._parts.hooks.log("warning", "the store did not take back what a silent child holds", error=error)


def tell_of_end(hooks: SupervisorHooks, child: Child, reason: str, ran: tuple[str, ...], *, orderly: bool) -> None:
    if child.broken is not None:
        hooks.log("error", "worker process could not start", pid=child.pid, error=child.broken.error)
    elif orderly:
        why = child.drained.reason if child.drained else reason
        hooks.log("info", "worker process ended", pid=child.pid, reason=why or "asked to")
    else:
        hooks.log("error", "worker process died", pid=child.pid, reason=reason, running=", ".join(ran) or "nothing")
        hooks.on_death(child.pid, reason, ran)


class Quarantine(Place):
    """One child with one slot runs suspects one at a time, so that the next death convicts."""

    def __init__(self, parts: NodeParts, options: WorkerOptions) -> None:
        super().__init__(parts, replace(options, quarantine=True, slots=1, processes=1))
        self._wanted = 0.0
        parts.hooks.log("info", "suspects are tried one at a time in a process of their own")

    def wanted(self) -> None:
        """There are suspects."""
        self._wanted = self._parts.clock.monotonic()

    def rest(self, idle_seconds: float) -> None:
        """There are none; close when that has been so for long enough."""
        if not self.closed and self._parts.clock.monotonic() - self._wanted > idle_seconds:
            self.close(None, "no suspects left")
