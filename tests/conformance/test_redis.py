"""Redis as broker and store, a fresh database for each case: real time, the server's own clock."""

import pytest
from tests.servers.fixtures import shared_redis  # noqa: F401 - fixture
from tests.servers.redis import RedisServer

from leveret.brokers.redis.driver import RedisDriver
from leveret.model.endpoint import Url
from leveret.testing.conformance import *  # noqa: F403 - the suite's classes, collected here
from leveret.testing.conformance.fleet import DriverFactory


@pytest.fixture
def driver_factory(shared_redis: RedisServer) -> DriverFactory:  # noqa: F811
    shared_redis.call("FLUSHALL")

    def make(options, clock):
        return RedisDriver(Url(shared_redis.url), options, clock)

    make.real_time = True
    return make
