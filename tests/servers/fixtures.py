"""Servers as pytest fixtures; a conftest imports those it needs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers.availability import rabbitmq_home, redis_server, require, valkey_server
from tests.servers.cluster import RabbitCluster
from tests.servers.proxy import Proxy
from tests.servers.rabbit.remote import Rabbit, Vhost
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisOptions, RedisServer
from tests.servers.sentinel import SentinelFleet
from tests.servers.sharing import shared_rabbit
from tests.servers.wire.recorder import Recorder

from leveret.links.redis import scripts


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """Share one RabbitMQ with the whole session, all workers of xdist included."""
    require(rabbitmq_home)
    own = tmp_path_factory.getbasetemp()
    # Of a worker of xdist this folder is one of several in the session's.
    meeting: Path = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with shared_rabbit(meeting) as server:
        yield server


@pytest.fixture
def rabbit_vhost(rabbit: Rabbit) -> Iterator[Vhost]:
    """Make a fresh vhost on the shared RabbitMQ."""
    vhost = rabbit.vhost()
    yield vhost
    rabbit.drop_vhost(vhost.name)


@pytest.fixture
def rabbit_proxy(rabbit: Rabbit) -> Iterator[Proxy]:
    """Put a recording proxy before the shared RabbitMQ: `rabbit.url_of(vhost.name, port=rabbit_proxy.port)`."""
    recorder = Recorder()
    with Proxy(rabbit.port, recorder=recorder) as proxy:
        yield proxy
    recorder.assert_lawful()


@pytest.fixture
def own_rabbit() -> Iterator[RabbitServer]:
    """Start a RabbitMQ that this test may kill."""
    require(rabbitmq_home)
    with RabbitServer() as server:
        yield server


@pytest.fixture
def rabbit_cluster() -> Iterator[RabbitCluster]:
    """Start three RabbitMQ nodes that this test may kill."""
    require(rabbitmq_home)
    with RabbitCluster() as cluster:
        yield cluster


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """Start a Redis that this test may kill, and that keeps what it has answered."""
    require(redis_server)
    with RedisServer(RedisOptions(durable=True)) as server:
        yield server


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """Start one Redis for this process's tests, which leave it running and take it as they find it."""
    require(redis_server)
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[RedisServer]:
    """Start one Valkey for this process's tests, which leave it running and take it as they find it."""
    require(valkey_server)
    with RedisServer(RedisOptions(kind="valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_sentinels() -> Iterator[SentinelFleet]:
    """Start a master, a replica and three sentinels for this process's tests, which leave them as they are."""
    require(redis_server)
    with SentinelFleet() as fleet:
        yield fleet


@pytest.fixture
def own_sentinels() -> Iterator[SentinelFleet]:
    """Start a master, a replica and three sentinels, to kill; every write is on disk before it is answered."""
    require(redis_server)
    with SentinelFleet(durable=True) as fleet:
        yield fleet


@pytest.fixture
def told_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scripts read the key `clock` instead of the server's own."""
    read = scripts._read
    monkeypatch.setattr(
        scripts, "_read", lambda name: read(name).replace("redis.call('TIME')", "{redis.call('GET', 'clock'), 0}")
    )
    scripts.script.cache_clear()
    yield
    scripts.script.cache_clear()
