"""One site a process of xdist: a vhost on the session's RabbitMQ, a Redis, the workers that were asked for."""

from collections.abc import Iterator

import pytest
from tests.interop.sides.fixtures import rabbit_site, redis_url
from tests.interop.sides.sites import RabbitSite
from tests.servers.fixtures import rabbit, rabbit_vhost
from tests.servers.rabbit.remote import Rabbit

__all__ = ["rabbit", "rabbit_site", "rabbit_vhost", "redis_url"]


@pytest.fixture
def site(rabbit_site: RabbitSite) -> RabbitSite:
    return rabbit_site


@pytest.fixture
def other_site(rabbit: Rabbit, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitSite]:
    """Another empty vhost."""
    vhost = rabbit.vhost()
    site = RabbitSite(rabbit, vhost, redis_url, tmp_path_factory.mktemp("site"))
    yield site
    site.close()
    rabbit.drop_vhost(vhost.name)
