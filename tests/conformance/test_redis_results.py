"""Redis as a result store: the cases that need no broker."""

import pytest
from tests.servers.fixtures import own_redis  # noqa: F401 - fixture
from tests.servers.redis import RedisServer

from leveret.backends.redis import RedisBackendDriver
from leveret.model.endpoint import Url
from leveret.testing.conformance import *  # noqa: F403 - the suite's classes, collected here
from leveret.testing.conformance.backends import TestKeepingInRealTime
from leveret.testing.conformance.fleet import DriverFactory

__all__ = ["TestKeepingInRealTime"]


@pytest.fixture
def driver_factory(own_redis: RedisServer) -> DriverFactory:  # noqa: F811
    def make(options, clock):
        return RedisBackendDriver(Url(own_redis.url), options, clock)

    make.real_time = True
    return make
