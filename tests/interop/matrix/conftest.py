"""Every case on every broker: `line` on each line, `site` on an empty site of each kind."""

import pytest
from tests.interop.sides.fixtures import (
    SHARED,
    rabbit_site,
    redis_site,
    redis_url,
    shared_rabbit_site,
    shared_redis_site,
)
from tests.interop.sides.lines import BROKERS, LINES, Line
from tests.interop.sides.sites import Site
from tests.servers.fixtures import rabbit, rabbit_vhost

__all__ = [
    "rabbit",
    "rabbit_site",
    "rabbit_vhost",
    "redis_site",
    "redis_url",
    "shared_rabbit_site",
    "shared_redis_site",
]
FRESH = {"rabbitmq": "rabbit_site", "redis": "redis_site"}


@pytest.fixture(params=LINES, ids=str)
def line(request: pytest.FixtureRequest) -> Line:
    """By name, so that a broker that is not asked for need not be there."""
    site: Site = request.getfixturevalue(SHARED[request.param.broker])
    return site.line(request.param)


@pytest.fixture(params=BROKERS, scope="session")
def shared_site(request: pytest.FixtureRequest) -> Site:
    site: Site = request.getfixturevalue(SHARED[request.param])
    return site


@pytest.fixture(params=BROKERS)
def site(request: pytest.FixtureRequest) -> Site:
    """An empty broker and no worker."""
    site: Site = request.getfixturevalue(FRESH[request.param])
    return site
