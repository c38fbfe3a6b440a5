"""The limits in Redis pass the suite that every keeper of limits must pass: as broker, and beside another one."""

import pytest
from tests.servers.fixtures import shared_redis  # noqa: F401 - fixture
from tests.servers.redis import RedisServer

from leveret.backends.redis import RedisBackendDriver
from leveret.brokers.redis.driver import RedisDriver
from leveret.model.endpoint import Url
from leveret.testing.conformance.limits import *  # noqa: F403
from leveret.testing.conformance.limits.rig import LimitsFactory


@pytest.fixture(params=[RedisDriver, RedisBackendDriver], ids=["broker", "results"])
def limits_factory(request, shared_redis: RedisServer) -> LimitsFactory:  # noqa: F811
    shared_redis.call("FLUSHALL")

    def make(options, clock):
        return request.param(Url(shared_redis.url), options, clock)

    make.real_time = True
    return make
