"""Redis servers as fixtures; a test module imports those it needs."""

from collections.abc import Iterator

import pytest
from tests.integration.redis.server import Server
from tests.servers.availability import redis_server, require


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    require(redis_server)
    with Server() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The module's server, emptied."""
    shared_server.cli("FLUSHALL")
    return shared_server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """One to hurt."""
    require(redis_server)
    with Server() as server:
        yield server
