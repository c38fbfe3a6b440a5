"""The limits in memory pass the suite that every keeper of limits must pass."""

import pytest

from leveret.brokers.memory import MemoryDriver
from leveret.links.memory.server import MemoryServer
from leveret.model.endpoint import Url
from leveret.testing.conformance.limits import *  # noqa: F403


@pytest.fixture
def limits_factory():
    servers = []

    def make(options, clock):
        servers.append(servers[0] if servers else MemoryServer(options, clock))
        return MemoryDriver(Url("memory://x"), options, clock, servers[0])

    return make
