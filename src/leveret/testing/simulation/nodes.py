"""The simulated machines: a supervisor each, its worker processes, their deaths and their successors."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from leveret.brokers.memory import MemoryDriver
from leveret.errors import BrokerError
from leveret.model.delivery import Charge, Receipt, SessionId
from leveret.model.node import Node, Reaping, Session
from leveret.model.options import WorkerOptions
from leveret.testing.faults import Wire
from leveret.testing.simulation.executor import SimExecutor
from leveret.testing.simulation.work import QUEUES
from leveret.worker.context import WorkerParts
from leveret.worker.runner import Runner
from leveret.worker.worker import Worker

if TYPE_CHECKING:
    from leveret.testing.simulation.world import World

BEAT_SECONDS = 1.25
NOTICED_AFTER = 0.1
"""Seconds from a child's death to the supervisor's knowing it."""


class Child:
    """One worker process."""

    def __init__(self, world: "World", node: "SimNode", *, quarantine: bool) -> None:
        self.world, self.node = world, node
        self.wire = Wire(f"{node.wire.name}/{world.serial()}", node.wire)
        self.wire.on_crash = self._crashed
        self.quarantine = quarantine
        self.session = Session(
            id=SessionId(self.wire.name),
            node=node.facts.name,
            incarnation=node.facts.incarnation,
            pid=world.serial(),
            quarantine=quarantine,
        )
        slots = 1 if quarantine else world.slots
        runner = Runner(codec=world.codec, clock=world.clock, hostname=node.facts.name)
        self.executor = SimExecutor(runner.run, slots, self.wire, world.history)
        self.worker = Worker(self._parts(), self._options(slots))
        self.task = world.spawn(self.worker.run())
        self.task.add_done_callback(lambda task: None if task.cancelled() or self.wire.is_dead() else self._exited())

    def _parts(self) -> WorkerParts:
        world, variant = self.world, self.world.variant
        driver = MemoryDriver(world.url, world.options, world.clock, world.server)

        def wired(port: Any) -> Any:
            return world.faults.proxy(port, self.wire)

        return WorkerParts(
            broker=wired(variant.broker(driver.broker())),
            leases=wired(variant.leases(driver.leases())),
            chores=wired(driver.chores()),
            backend=wired(variant.backend(driver.backend())),
            commit=wired(driver.commit()) if world.fused else None,
            executor=self.executor,
            codec=world.codec,
            registry=world.tasks,
            rules=world.rules,
            clock=world.clock,
            session=self.session,
            node=self.node.facts,
        )

    def _options(self, slots: int) -> WorkerOptions:
        return WorkerOptions(
            node=self.node.facts, slots=slots, queues=QUEUES, quarantine=self.quarantine, loglevel="CRITICAL"
        )

    def running(self) -> tuple[tuple[Receipt, str], ...]:
        return tuple((job.receipt, str(job.message.id)) for job, _ in self.executor.running())

    def present_session(self) -> Session:
        """The one it claims under now: a reaped one is replaced by the worker itself."""
        return Session(
            id=SessionId(self.worker.session),
            node=self.session.node,
            incarnation=self.session.incarnation,
            pid=self.session.pid,
            quarantine=self.quarantine,
        )

    def _crashed(self) -> None:
        if not self.node.wire.dead:
            self.world.spawn(self.node.bury(self))

    def _exited(self) -> None:
        # In order, but perhaps while nobody answered: whatever it still held goes back, uncharged.
        self.world.spawn(self.node.bury(self))


class SimNode:
    """One `leveret worker`: its supervisor beats, buries dead children, and starts new ones."""

    def __init__(self, world: "World", name: str) -> None:
        self.world, self.name = world, name
        self.starts = 0
        self.boot = "boot"
        self.children: list[Child] = []
        self._begin()

    def _begin(self) -> None:
        world = self.world
        self.starts += 1
        self.wire = Wire(f"{self.name}.{self.starts}")
        self.wire.on_crash = self._crashed
        pid = world.serial()
        world.pids.add(pid)
        self.facts = Node(
            name=self.name,
            incarnation=str(self.starts),
            boot=self.boot,
            pid=pid,
            queues=QUEUES,
            tasks=tuple(world.tasks),
            slots=world.slots,
        )
        driver = MemoryDriver(world.url, world.options, world.clock, world.server)
        self.leases = world.faults.proxy(driver.leases(), self.wire)
        self.children = []
        world.spawn(self._supervise(self.wire))

    async def _supervise(self, wire: Wire) -> None:
        await persist(lambda: self.leases.register(self.facts, ()))
        self.children.append(Child(self.world, self, quarantine=False))
        while not wire.dead:
            try:
                pulse = await self.leases.beat(self.facts)
                if pulse.revived:
                    sessions = tuple(child.present_session() for child in self.children)
                    await self.leases.register(self.facts, sessions)
                if pulse.suspects and not any(child.quarantine for child in self.children):
                    self.children.append(Child(self.world, self, quarantine=True))
            except BrokerError:
                await asyncio.sleep(0.2)
                continue
            await asyncio.sleep(BEAT_SECONDS)

    async def bury(self, child: Child) -> None:
        """Write the charge, give back what the ended child held, start its successor."""
        world, session, leases = self.world, SessionId(child.worker.session), self.leases
        running = child.running()
        alone = child.executor.slots == 1
        if alone:
            world.history.guilty.update((session, victim) for _, victim in running)
        await asyncio.sleep(NOTICED_AFTER)
        charge = Charge(reason="signal 9", at=world.clock.now(), session=session)
        keep = tuple(receipt for receipt, _ in running)
        charged = tuple((receipt, charge) for receipt in keep) if alone else ()
        if not alone:
            await persist(lambda: leases.release(session, keep))
        reaping = Reaping(session=session, charged=charged, suspect_others=not alone)
        await persist(lambda: leases.reap((reaping,)))
        if child not in self.children:
            return  # the whole node was started anew meanwhile
        self.children.remove(child)
        if not child.quarantine:
            self.children.append(Child(world, self, quarantine=False))

    async def restart(self) -> None:
        """Stop in order and start anew, as a deploy does."""
        old, leases = list(self.children), self.leases
        for child in old:
            child.worker.quiet()
        await asyncio.wait([child.task for child in old], timeout=10) if old else None
        if self.wire.dead or any(child.wire.dead for child in old):
            return
        await persist(lambda: leases.leave(self.facts))
        self.wire.dead = True
        self.world.pids.discard(self.facts.pid)
        self._begin()

    def _crashed(self) -> None:
        """The whole node is gone: what its quarantine held is convicted, the rest is suspect."""
        world = self.world
        world.pids.discard(self.facts.pid)
        lost_host = world.dice.random() < 0.5
        self.boot = f"boot {world.serial()}" if lost_host else self.boot
        asyncio.get_running_loop().call_later(3.0 if lost_host else 0.5, self._begin)


async def persist(call: Callable[[], Awaitable[Any]]) -> Any:
    while True:
        try:
            return await call()
        except BrokerError:
            await asyncio.sleep(0.2)
