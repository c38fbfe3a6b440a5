"""The node's lease in good and bad weather; the store is the memory driver behind a door that can be shut."""

import asyncio
import os
from typing import Any

import pytest

from leveret.brokers.memory import MemoryDriver
from leveret.errors import OperationalError
from leveret.model.delivery import SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Node, Pulse, Session
from leveret.model.options import DriverOptions
from leveret.ports.leases import Leases
from leveret.supervisor.lease import LeaseKeeper
from leveret.wiring.clock import SystemClock

NODE = Node(name="n", incarnation="1", boot="b", pid=1)
SESSION = Session(id=SessionId("s"), node="n", incarnation="1", pid=2)
LEASE = 0.2


class Door:
    """Any verb of the store fails while the door is shut."""

    def __init__(self, leases: Leases) -> None:
        self.leases = leases
        self.shut = False
        self.tries = 0

    def __getattr__(self, name: str) -> Any:
        async def verb(*arguments: Any) -> Any:
            self.tries += 1
            if self.shut:
                raise OperationalError("the door is shut")
            return await getattr(self.leases, name)(*arguments)

        return verb


class Node1:
    """A keeper that beats, what it heard, and what it logged."""

    def __init__(self, name: str, lease: float = LEASE) -> None:
        options = DriverOptions(lease_seconds=lease)
        self.door = Door(MemoryDriver(Url(f"memory://{name}"), options, SystemClock()).leases())
        self.lines: list[str] = []
        self.pulses: asyncio.Queue[Pulse] = asyncio.Queue()
        self.keeper = LeaseKeeper(
            self.door,  # type: ignore[arg-type] # answers every verb
            NODE,
            SystemClock(),
            lease_seconds=lease,
            sessions=lambda: (SESSION,),
            log=lambda level, text, /, **fields: self.lines.append(text),
        )

    async def pulse(self) -> Pulse:
        return await asyncio.wait_for(self.pulses.get(), 5)

    async def tries(self, number: int) -> None:
        """Return after so many more calls of the store."""
        wanted = self.door.tries + number
        while self.door.tries < wanted:  # noqa: ASYNC110 - the store has no event for it
            await asyncio.sleep(0.005)


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Node1:
    return Node1(request.node.name)


def test_a_node_registers_beats_and_leaves(node: Node1) -> None:
    async def scenario() -> None:
        await node.keeper.register()
        beating = asyncio.ensure_future(node.keeper.run(node.pulses.put_nowait))
        assert not (await node.pulse()).revived
        assert [found.name for found in await node.door.nodes()] == ["n"]
        beating.cancel()
        await node.keeper.leave()
        assert await node.door.nodes() == ()

    asyncio.run(scenario())


def test_registering_waits_for_the_store(node: Node1) -> None:
    async def scenario() -> None:
        node.door.shut = True
        registering = asyncio.ensure_future(node.keeper.register())
        await node.tries(3)
        node.door.shut = False
        await asyncio.wait_for(registering, 5)

    asyncio.run(scenario())

    assert node.lines[-1] == "the store answers again"


def test_an_outage_is_told_once_and_survived(node: Node1) -> None:
    async def scenario() -> None:
        await node.keeper.register()
        beating = asyncio.ensure_future(node.keeper.run(node.pulses.put_nowait))
        await node.pulse()
        node.door.shut = True
        await node.tries(4)
        node.door.shut = False
        while "the store answers again" not in node.lines:
            await node.pulse()
        beating.cancel()

    asyncio.run(scenario())

    assert sum("cannot be reached" in line for line in node.lines) == 1


def test_a_revived_node_registers_its_sessions_again(node: Node1) -> None:
    async def scenario() -> None:
        await node.keeper.register()
        await node.door.leave(NODE)  # what being reaped looks like
        beating = asyncio.ensure_future(node.keeper.run(node.pulses.put_nowait))
        assert (await node.pulse()).revived
        assert await node.door.reconcile(SESSION.id, ()) == ()
        beating.cancel()

    asyncio.run(scenario())


def test_a_goodbye_nobody_hears_does_not_keep_us(node: Node1) -> None:
    async def scenario() -> None:
        await node.keeper.register()
        node.door.shut = True
        await asyncio.wait_for(node.keeper.leave(), 1)

    asyncio.run(scenario())

    assert "did not hear" in node.lines[-1]


def other(**facts: Any) -> Node:
    return Node(**{"name": "n", "incarnation": "2", "boot": "b", "pid": os.getppid(), **facts})


def namesakes(node: Node1) -> int:
    return sum("DuplicateNodename" in line for line in node.lines)


def test_a_live_namesake_is_told_once_at_the_start(node: Node1) -> None:
    async def scenario() -> None:
        await node.keeper.register()
        await node.door.register(other(), ())
        await node.door.register(other(name="m", incarnation="3"), ())
        beating = asyncio.ensure_future(node.keeper.run(node.pulses.put_nowait))
        await node.pulse()
        assert namesakes(node) == 1
        for _ in range(8):
            await node.door.beat(other())
            await node.pulse()
        beating.cancel()

    asyncio.run(scenario())

    assert namesakes(node) == 1


@pytest.mark.parametrize("alive", [True, False])
def test_a_namesake_of_another_boot_is_told_when_it_outlives_its_lease(node: Node1, alive: bool) -> None:
    async def scenario() -> None:
        await node.keeper.register()
        await node.door.register(other(boot="c"), ())
        beating = asyncio.ensure_future(node.keeper.run(node.pulses.put_nowait))
        await node.pulse()
        assert namesakes(node) == 0
        for _ in range(8):
            if alive:
                await node.door.beat(other(boot="c"))
            await node.pulse()
        beating.cancel()

    asyncio.run(scenario())

    assert namesakes(node) == alive


def test_a_beat_is_made_when_anothers_lease_runs_out() -> None:
    """The store says when; the rhythm alone would find out up to a quarter of a lease later."""
    rhythm = 0.5
    node = Node1("next-loss", lease=4 * rhythm)

    async def scenario() -> None:
        told = [Pulse(next_loss=0.001), Pulse(next_loss=0.001), Pulse(next_loss=60.0), Pulse(next_loss=60.0)]

        async def beat(_: Node) -> Pulse:
            return told.pop(0)

        node.door.beat = beat  # type: ignore[attr-defined] # the store's answer
        loop = asyncio.get_running_loop()
        beating = asyncio.ensure_future(node.keeper.run(node.pulses.put_nowait))
        moments = []
        for _ in range(4):
            await node.pulse()
            moments.append(loop.time())
        beating.cancel()

        assert moments[1] - moments[0] < rhythm
        assert moments[2] - moments[1] < rhythm
        assert moments[3] - moments[2] >= rhythm

    asyncio.run(scenario())
