"""Every broker's mailbox passes the one suite."""

import pytest
from tests.servers.fixtures import rabbit, rabbit_vhost, shared_redis  # noqa: F401 - fixtures

from leveret.brokers.amqp.driver import AmqpDriver
from leveret.brokers.memory import MemoryDriver
from leveret.brokers.redis.driver import RedisDriver
from leveret.brokers.sql.driver import SqlDriver
from leveret.links.memory.server import MemoryServer
from leveret.model.endpoint import Url
from leveret.testing.conformance.mailboxes import *  # noqa: F403


@pytest.fixture(params=["memory", "sqlite", "redis", "rabbitmq"])
def mailbox_factory(request: pytest.FixtureRequest, tmp_path):
    servers = []

    def memory(options, clock):
        servers.append(servers[0] if servers else MemoryServer(options, clock))
        return MemoryDriver(Url("memory://x"), options, clock, servers[0])

    def sqlite(options, clock):
        return SqlDriver(Url(f"sqlite:///{tmp_path}/queue.db"), options, clock)

    if request.param == "redis":
        server = request.getfixturevalue("shared_redis")
        server.call("FLUSHALL")
        return lambda options, clock: RedisDriver(Url(server.url), options, clock)
    if request.param == "rabbitmq":
        vhost = request.getfixturevalue("rabbit_vhost")
        return lambda options, clock: AmqpDriver(Url(vhost.url), options, clock)
    return {"memory": memory, "sqlite": sqlite}[request.param]
