"""Valkey 8 as broker and store: the same driver, and nothing in it asks which of the two it is."""

import pytest
from tests.servers.fixtures import shared_valkey  # noqa: F401 - fixture
from tests.servers.redis import RedisServer

from leveret.brokers.redis.driver import RedisDriver
from leveret.model.endpoint import Url
from leveret.testing.conformance import *  # noqa: F403 - the suite's classes, collected here
from leveret.testing.conformance.fleet import DriverFactory


@pytest.fixture
def driver_factory(shared_valkey: RedisServer) -> DriverFactory:  # noqa: F811
    shared_valkey.call("FLUSHALL")

    def make(options, clock):
        return RedisDriver(Url(shared_valkey.url), options, clock)

    make.real_time = True
    return make
