"""Redis through its sentinels: every connection asks one of three for the master."""

import pytest
from tests.servers.fixtures import shared_sentinels  # noqa: F401 - fixture
from tests.servers.sentinel import SentinelFleet

from leveret.brokers.redis.driver import RedisDriver
from leveret.model.endpoint import Url
from leveret.testing.conformance import *  # noqa: F403 - the suite's classes, collected here
from leveret.testing.conformance.fleet import DriverFactory


@pytest.fixture
def driver_factory(shared_sentinels: SentinelFleet) -> DriverFactory:  # noqa: F811
    shared_sentinels.master().call("FLUSHALL")

    def make(options, clock):
        return RedisDriver(Url(shared_sentinels.url), options, clock)

    make.real_time = True
    return make
