"""The processes and sessions of a case: one main process, members, and time that passes when told."""

import asyncio
import os
import socket
from typing import Any, Protocol, Self, cast

from leveret.model.delivery import Charge, Delivery, Receipt, SessionId
from leveret.model.node import Node, Pulse, Reaping, Session, Testimony
from leveret.model.options import DriverOptions
from leveret.ports.admin import Admin
from leveret.ports.backend import Backend, BlockingBackend
from leveret.ports.broker import BlockingBroker, Broker, Capability, Severable
from leveret.ports.clock import Clock
from leveret.ports.driver import BackendDriver, BrokerDriver, FusedDriver, Witness
from leveret.ports.leases import Leases
from leveret.testing.conformance.needs import Need, Trait
from leveret.testing.conformance.pace import Pace, RealTime, SimulatedTime
from leveret.testing.conformance.values import QUEUE

OPTIONS = DriverOptions(poll_seconds=0.02)


class DriverFactory(Protocol):
    """The fixture `driver_factory` answers one: each call is another driver (another process, so to speak) of the
    same server, which is fresh for each test.

    It may also carry `real_time = True` (the server's own clock decides when what is due comes), `high_first_only =
    True` (`DriverOptions.high_first` is nothing to it) and `rig`: a subclass of `Rig`, for a driver whose sessions are
    connections and that is no `ports.driver.Witness`.
    """

    def __call__(self, options: DriverOptions, clock: Clock) -> BrokerDriver | BackendDriver | FusedDriver: ...


class Process:
    """The faces a driver has not are not there: cases that need them are skipped."""

    def __init__(self, driver: BrokerDriver | BackendDriver | FusedDriver) -> None:
        # Whatever kind it is: only the faces it has are asked for.
        self.driver = cast(FusedDriver, driver)
        self.capabilities: frozenset[Capability] = getattr(driver, "capabilities", frozenset())
        self.abilities: set[Need] = set(self.capabilities)
        self.queues: set[str] = set()
        """Where it has claimed: a broker that pushes may have put into its hands what it has not asked for yet."""
        self.session: SessionId | None = None
        """Of a member."""
        self.sockets: list[Any] = []
        """Of its consuming connections, as far as the driver shows them (`ports.driver.Witness`)."""
        self._blocking: list[BlockingBroker | BlockingBackend] = []
        if hasattr(driver, "broker"):
            self.abilities.add(Trait.BROKER)
            self.broker, self.leases = self.driver.broker(), self.driver.leases()
            self.chores, self.admin = self.driver.chores(), self.driver.admin()
            self.abilities |= {Trait.SEVERABLE} if hasattr(self.broker, "severed") else set()
        if hasattr(driver, "backend"):
            self.abilities.add(Trait.STORE)
            self.backend = self.driver.backend()
            self.abilities |= {Trait.CLOSES_JOINS} if getattr(self.backend, "closes_joins", False) else set()
        if Capability.COMMIT in self.capabilities:
            self.committer = self.driver.commit()

    def blocking(self) -> BlockingBroker:
        """A caller's face; `close` closes it."""
        face = self.driver.blocking()
        self._blocking.append(face)
        return face

    def blocking_backend(self) -> BlockingBackend:
        face = self.driver.blocking_backend()
        self._blocking.append(face)
        return face

    async def upkeep(self) -> None:
        for _ in range(1000):
            if Trait.BROKER not in self.abilities or await self.chores.upkeep() > 0:
                return

    async def close(self) -> None:
        for face in self._blocking:
            await asyncio.to_thread(face.close)
        for name in ("broker", "backend", "leases", "admin", "chores"):
            part: Any = getattr(self, name, None)
            if hasattr(part, "close"):
                await part.close()

    def witness(self) -> Witness | None:
        """The driver, if its broker keeps no record of deaths."""
        return cast(Witness, self.driver) if hasattr(self.driver, "on_testimony") else None


class Fleet:
    """The main process (it sends, supervises and operates) and the sessions a case has registered.

    Where the broker keeps sessions (LEASE) the main process speaks for all of them. Where a session is a connection
    each has a process of its own, and the verbs of a session or delivery go to it. Durations given to the rig are
    nominal (`pace`); what a driver is told goes through `seconds` or `later`.
    """

    def __init__(self, factory: DriverFactory, options: DriverOptions = OPTIONS, pace: Pace | None = None) -> None:
        self.factory, self.options = factory, options
        self.pace: Pace = pace or (RealTime() if getattr(factory, "real_time", False) else SimulatedTime())
        self.clock = self.pace.clock
        self.main = Process(factory(options, self.clock))
        self.driver = self.main.driver
        if (supervisor := self.main.witness()) is not None:
            supervisor.on_testimony(self.spread)
        self._charges: dict[str, Charge] = {}
        """By session: a death is one, however often it is told."""
        self.members: dict[str, Process] = {}
        """Sessions that have a process of their own."""
        self._others: list[Self] = []
        self._queues: dict[str, tuple[str, ...]] = {}
        """Of each session: those of its node."""
        self.held: dict[str, list[Receipt]] = {}
        """What each session was handed and has not settled or given back, as its slot page would say."""

    @property
    def broker(self) -> Broker:
        return self.main.broker

    @property
    def leases(self) -> Leases:
        return self.main.leases

    @property
    def admin(self) -> Admin:
        return self.main.admin

    @property
    def backend(self) -> Backend:
        return self.main.backend

    def has(self, need: Need) -> bool:
        if need is Trait.HOURS:
            return self.pace.hours
        if need is Trait.EITHER_END:
            return not getattr(self.factory, "high_first_only", False)
        return need in self.main.abilities

    def another(self) -> Self:
        """Open a second driver of the same server, on the same clock."""
        other = type(self)(self.factory, self.options, self.pace)
        self._others.append(other)
        return other

    async def close(self) -> None:
        for other in self._others:
            await other.close()
        for process in (*self.members.values(), self.main):
            await process.close()

    # What happens to processes; a driver's author may say it better

    async def spread(self, told: tuple[Testimony, ...]) -> None:
        """What the main process has seen of deaths reaches the processes of the living."""
        for process in self.members.values():
            cast(Witness, process.driver).testify(told)

    async def sever(self, process: Process) -> None:
        """Break the connections of a process under it; it lives and notices."""
        if not process.sockets:
            raise NotImplementedError("this driver shows no sockets: its rig must say how a connection breaks")
        for connection in process.sockets:
            connection.shutdown(socket.SHUT_RDWR)
        process.sockets.clear()

    async def vanish(self, process: Process) -> None:
        """Break the connections of a process as its death would, at once and for good. Nobody closes it after that."""
        await self._break(process)
        await process.close()

    # Who

    def node(self, name: str = "w1", **changes: Any) -> Node:
        facts = {"incarnation": f"{name}-1", "boot": "boot", "pid": 4_000_001, "queues": (QUEUE,), "slots": 10}
        return Node(name=name, **{**facts, **changes})

    async def join(
        self, session: str = "s1", node: Node | None = None, *, quarantine: bool = False, apart: bool = False
    ) -> SessionId:
        """Register a session (and its node, named as the session unless given), which claims from the queues of its
        node. `apart`: with a driver of its own, as it has in any case where it is a connection."""
        node = node or self.node(f"node-{session}")
        if session not in self.members and (apart or not self.has(Capability.LEASE)):
            self.members[session] = self._fork()
        return await self._register(session, node, quarantine=quarantine)

    def _fork(self) -> Process:
        """Another process, which hears what the main one knows."""
        process = Process(self.factory(self.options, self.clock))
        if (member := process.witness()) is not None and (supervisor := self.main.witness()) is not None:
            member.on_socket(lambda session, connection: process.sockets.append(connection))
            member.testify(supervisor.known())
        return process

    async def _register(self, session: str, node: Node, *, quarantine: bool) -> SessionId:
        name, process = SessionId(session), self._process(session)
        # A driver of its own opens the session that it is in, and only hears of others.
        pid = os.getpid() if session in self.members else 1
        member = Session(id=name, node=node.name, incarnation=node.incarnation, pid=pid, quarantine=quarantine)
        await process.leases.register(node, (member,))
        process.session, self._queues[session] = name, node.queues
        return name

    async def renew(self, session: str) -> SessionId:
        """Begin another session in the process of one that is over, as a worker does that lost its connection."""
        process, heir = self.members.pop(session), f"{session}-again"
        self.members[heir] = process
        return await self._register(heir, self.node(f"node-{session}", queues=self._queues[session]), quarantine=False)

    async def die(self, session: str) -> None:
        """The session's process vanishes. A broker that keeps sessions hears that from `reap`, or by the lease."""
        if not self.has(Capability.LEASE) and session in self.members:
            await self.vanish(self.members.pop(session))

    async def cut(self, session: str) -> None:
        """The session's connection breaks, its process lives; returns when the driver has noticed."""
        await self._break(self._process(session))

    async def _break(self, process: Process) -> None:
        noticed = asyncio.ensure_future(cast(Severable, process.broker).severed())
        await asyncio.sleep(0)  # so that it listens
        await self.sever(process)
        await asyncio.wait_for(noticed, 10)

    async def severed(self, session: str) -> None:
        """Return when the session's connection is lost."""
        await cast(Severable, self._process(session).broker).severed()

    async def stop(self, session: str) -> None:
        """The session's process ends in order."""
        await self.members.pop(session).close()

    async def reap(
        self, session: str, *charged: Delivery, back: int | None = None, suspect_others: bool = False
    ) -> None:
        """End a session as its supervisor does, laying its death to `charged`. `back`: how many messages went back,
        as a broker that keeps sessions answers. A connection is held until the charges are written."""
        charge = self._charges.get(session) or Charge(reason="signal 9", at=self.clock.now(), session=session)
        self._charges |= {session: charge} if charged else {}
        pairs = tuple((delivery.receipt, charge) for delivery in charged)
        reaping = Reaping(
            session=SessionId(session),
            charged=pairs,
            suspect_others=suspect_others,
            suspects=tuple(self.held.get(session, ())) if suspect_others else (),
        )
        answer = await self.leases.reap((reaping,))
        assert back is None or not self.has(Capability.LEASE) or answer == back
        await self.die(session)

    @property
    def laid(self) -> tuple[Charge, ...]:
        """The charges so far, in order."""
        return tuple(self._charges.values())

    async def beat(self, name: str = "w1") -> Pulse:
        return await self.leases.beat(self.node(name))

    async def reconcile(self, session: str, *held: Receipt) -> tuple[Delivery, ...]:
        return await self._process(session).leases.reconcile(SessionId(session), held)

    def _process(self, session: str) -> Process:
        return self.members.get(session, self.main)

    # When

    def seconds(self, nominal: float) -> float:
        return self.pace.seconds(nominal)

    def later(self, nominal: float) -> float:
        """Answer the moment that many seconds from now, for a driver."""
        return self.clock.now() + self.seconds(nominal)

    async def jump(self, nominal: float) -> None:
        """Let time pass in which nothing runs."""
        await self.pace.sleep(self.seconds(nominal))

    async def advance(self, nominal: float, step: float = 1.0) -> None:
        """Let time pass as a living fleet sees it: chores run (and the tick is written) at every step."""
        await self._live(self.seconds(nominal), self.seconds(step))

    async def past(self, due: float, by: float) -> None:
        """Let time pass until what is due at that moment is there: `by` seconds later."""
        await self._live(max(due - self.clock.now(), 0.0) + max(self.seconds(by), self.pace.late), self.seconds(1.0))

    async def _live(self, seconds: float, step: float) -> None:
        while seconds > 0:
            await self.pace.sleep(min(step, seconds))
            await self.upkeep()
            seconds -= step

    async def upkeep(self) -> None:
        """Run chores until they have nothing left to do at once."""
        for process in (self.main, *self.members.values()):
            await process.upkeep()
