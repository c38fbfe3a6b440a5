"""Redis as a result store, on a private server."""

from collections.abc import Iterator

import pytest
from tests.integration.redis.server import Server

from leveret.model.endpoint import Url
from leveret.testing.conformance.backends import *  # noqa: F403 - the suite's classes, collected here
from leveret.testing.conformance.backends import StoreFactory

driver = pytest.importorskip("leveret.backends.redis")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def driver_factory(server) -> StoreFactory:
    server.call("FLUSHALL")
    return StoreFactory(lambda options, clock: driver.RedisBackendDriver(Url(server.url), options, clock))
