"""One site of each broker with a node of ours and a Celery worker on it, for all tests here."""

import sys
from pathlib import Path

import pytest
from tests.interop.sides.fixtures import redis_url, shared_rabbit_site, shared_redis_site
from tests.interop.sides.processes import until
from tests.interop.sides.sites import Site
from tests.servers.fixtures import rabbit

__all__ = ["rabbit", "redis_url", "shared_rabbit_site", "shared_redis_site"]

OURS, THEIRS = "ours@interop", "theirs@interop"
OUR_QUEUE, THEIR_QUEUE = "steered", "celerys"


@pytest.fixture(scope="session", params=["redis", "rabbitmq"])
def site(request: pytest.FixtureRequest) -> Site:
    """Results are kept in Redis in both cases, so that revocations have a store."""
    kind = {"redis": "shared_redis_site", "rabbitmq": "shared_rabbit_site"}[request.param]
    found: Site = request.getfixturevalue(kind)
    store = {"INTEROP_BACKEND": found.stores["same" if request.param == "redis" else "redis"]}
    found.start("leveret", "ours", ["-P", "prefork", "-c", "2", "-Q", OUR_QUEUE], **store)
    found.start("celery", "theirs", ["-P", "prefork", "-c", "2", "-Q", THEIR_QUEUE], **store)
    client = found.another_client("celery", INTEROP_BACKEND=store["INTEROP_BACKEND"])

    def both() -> bool:
        nodes = client.control.inspect(timeout=1.0, limit=2).ping() or {}
        return {OURS, THEIRS} <= set(nodes)

    until(both, 60)
    return found


CELERY = [sys.executable, "-W", "ignore", "-m", "celery"]
ROOT = Path(__file__).parents[3]
