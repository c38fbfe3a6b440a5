"""One server for the module's tests, emptied before each; those that hurt it start their own."""

from collections.abc import Iterator

import pytest
from tests.integration.redis.server import Server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def server(shared: Server) -> Server:
    shared.call("FLUSHALL")
    return shared


@pytest.fixture
def own_server(tmp_path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()
