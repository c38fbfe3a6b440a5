"""The memory driver is the reference: it passes the whole suite."""

import pytest

from leveret.brokers.memory import MemoryDriver
from leveret.links.memory.server import MemoryServer
from leveret.model.endpoint import Url
from leveret.testing.conformance import *  # noqa: F403 - the suite's classes, collected here
from leveret.testing.conformance.fleet import DriverFactory


@pytest.fixture
def driver_factory() -> DriverFactory:
    servers: list[MemoryServer] = []

    def make(options, clock):
        if not servers:
            servers.append(MemoryServer(options, clock))
        return MemoryDriver(Url("memory://conformance"), options, clock, servers[0])

    return make
