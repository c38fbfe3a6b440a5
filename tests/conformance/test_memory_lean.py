"""The suite as a lesser server meets it: the reference in real time, declaring no more than a broker must have, with
a driver for each session."""

import pytest

from leveret.brokers.memory import MemoryDriver
from leveret.links.memory.server import MemoryServer
from leveret.model.endpoint import Url
from leveret.model.node import Reaping
from leveret.ports.broker import Capability
from leveret.testing.conformance import *  # noqa: F403 - the suite's classes, collected here
from leveret.testing.conformance.fleet import DriverFactory
from leveret.testing.conformance.rig import Rig


class LeanDriver(MemoryDriver):
    capabilities = frozenset({Capability.DELAY, Capability.PRIORITY})


class LeanRig(Rig):
    async def vanish(self, process):
        # There is no connection to break: the server is told what the end of one would have told it.
        await process.leases.reap((Reaping(session=process.session),))


class LeanServer:
    """One server; each driver of it is another process."""

    real_time = True
    rig = LeanRig

    def __init__(self):
        self.server = None

    def __call__(self, options, clock):
        self.server = self.server or MemoryServer(options, clock)
        return LeanDriver(Url("memory://lean"), options, clock, self.server)


@pytest.fixture
def driver_factory() -> DriverFactory:
    return LeanServer()
