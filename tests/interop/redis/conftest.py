"""An empty Redis for each test, or one for all that get on with each other."""

import pytest
from tests.interop.sides.fixtures import redis_site, shared_redis_site
from tests.interop.sides.sites import RedisSite

__all__ = ["redis_site", "shared_redis_site"]


@pytest.fixture
def site(redis_site: RedisSite) -> RedisSite:
    return redis_site
