"""One site a process of xdist: a vhost on the session's RabbitMQ, a Redis, the workers that were asked for."""

from collections.abc import Iterator

import pytest
from tests.interop.rabbitmq.lines import LINES, Line, Site
from tests.servers.availability import redis_server, require
from tests.servers.fixtures import rabbit, rabbit_vhost
from tests.servers.rabbit.remote import Rabbit, Vhost
from tests.servers.redis import RedisServer

__all__ = ["rabbit", "rabbit_vhost"]


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    require(redis_server)
    with RedisServer() as server:
        yield server.url


@pytest.fixture(scope="session")
def shared_site(rabbit: Rabbit, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    vhost = rabbit.vhost()
    site = Site(rabbit, vhost, redis_url, tmp_path_factory.mktemp("interop"))
    yield site
    site.close()
    rabbit.drop_vhost(vhost.name)


@pytest.fixture
def site(
    rabbit: Rabbit, rabbit_vhost: Vhost, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """An empty vhost and no worker."""
    site = Site(rabbit, rabbit_vhost, redis_url, tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture
def other_site(rabbit: Rabbit, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Another empty vhost."""
    vhost = rabbit.vhost()
    site = Site(rabbit, vhost, redis_url, tmp_path_factory.mktemp("site"))
    yield site
    site.close()
    rabbit.drop_vhost(vhost.name)


@pytest.fixture(params=LINES, ids=str)
def line(request: pytest.FixtureRequest, shared_site: Site) -> Line:
    return shared_site.line(request.param)
