"""The in-process schedule passes the suite that every store of a schedule must pass."""

import pytest

from leveret.links.memory.server import MemoryServer
from leveret.model.endpoint import Url
from leveret.schedulestores.memory import MemoryScheduleDriver
from leveret.testing.conformance.schedules import *  # noqa: F403


@pytest.fixture
def schedule_factory():
    servers = []

    def make(options, clock):
        servers.append(servers[0] if servers else MemoryServer(options, clock))
        return MemoryScheduleDriver(Url("memory://x"), options, clock, servers[0])

    return make
