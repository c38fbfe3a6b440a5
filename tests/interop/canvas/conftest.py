"""One worker of each side for all cases of a broker: a queue for each alone, and one that both consume."""

from collections.abc import Iterator

import pytest
from tests.interop.canvas.fleet import Fleet
from tests.interop.sides.fixtures import redis_url
from tests.interop.sides.sites import RabbitSite, RedisSite
from tests.servers.availability import redis_server, require
from tests.servers.fixtures import rabbit
from tests.servers.rabbit.remote import Rabbit
from tests.servers.redis import RedisServer

__all__ = ["rabbit", "redis_url"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    require(redis_server)
    with RedisServer() as server:
        site = RedisSite(server, tmp_path_factory.mktemp("canvas"))
        made = Fleet(site)
        yield made
        made.close()
        site.close()


@pytest.fixture(scope="module")
def rabbit_fleet(rabbit: Rabbit, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """RabbitMQ, with results in Redis."""
    vhost = rabbit.vhost()
    site = RabbitSite(rabbit, vhost, redis_url, tmp_path_factory.mktemp("canvas"))
    made = Fleet(site, results="redis")
    yield made
    made.close()
    site.close()
    rabbit.drop_vhost(vhost.name)
