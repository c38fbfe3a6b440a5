"""Sites as pytest fixtures, one of each kind for a process of xdist, or a fresh one; a conftest imports those it needs."""

from collections.abc import Iterator

import pytest
from tests.interop.sides.sites import RabbitSite, RedisSite
from tests.servers.availability import redis_server, require
from tests.servers.rabbit.remote import Rabbit, Vhost
from tests.servers.redis import RedisServer

SHARED = {"rabbitmq": "shared_rabbit_site", "redis": "shared_redis_site"}
"""By broker, for `getfixturevalue`: a broker that no test asks for need not be there."""


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    require(redis_server)
    with RedisServer() as server:
        yield server.url


@pytest.fixture(scope="session")
def shared_rabbit_site(
    rabbit: Rabbit, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitSite]:
    vhost = rabbit.vhost()
    site = RabbitSite(rabbit, vhost, redis_url, tmp_path_factory.mktemp("interop"))
    yield site
    site.close()
    rabbit.drop_vhost(vhost.name)


@pytest.fixture
def rabbit_site(
    rabbit: Rabbit, rabbit_vhost: Vhost, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RabbitSite]:
    """An empty vhost and no worker."""
    site = RabbitSite(rabbit, rabbit_vhost, redis_url, tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(scope="session")
def shared_redis_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisSite]:
    require(redis_server)
    with RedisServer() as server:
        site = RedisSite(server, tmp_path_factory.mktemp("interop"))
        yield site
        site.close()


@pytest.fixture
def redis_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisSite]:
    """An empty Redis and no worker."""
    require(redis_server)
    with RedisServer() as server:
        site = RedisSite(server, tmp_path_factory.mktemp("site"))
        yield site
        site.close()
