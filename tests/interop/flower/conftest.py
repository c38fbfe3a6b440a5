"""A site of each kind, as in the matrix, with Flower and a browser beside it."""

from collections.abc import Iterator

import pytest
from tests.interop.flower.pages import Pages, browser, flower
from tests.interop.sides.fixtures import rabbit_site, redis_site, redis_url
from tests.interop.sides.processes import WorkerProcess
from tests.interop.sides.sites import Site
from tests.servers.fixtures import rabbit, rabbit_vhost

__all__ = ["rabbit", "rabbit_site", "rabbit_vhost", "redis_site", "redis_url"]
NODE = "node@interop"


@pytest.fixture(params=["redis", "rabbitmq"])
def site(request: pytest.FixtureRequest) -> Site:
    """An empty broker and no worker."""
    site: Site = request.getfixturevalue({"redis": "redis_site", "rabbitmq": "rabbit_site"}[request.param])
    return site


@pytest.fixture
def worker(site: Site) -> WorkerProcess:
    """Ours, of two processes."""
    return site.start("leveret", "node", ["-P", "prefork", "-c", "2", "-Q", "jobs"])


@pytest.fixture
def pages(site: Site, worker: WorkerProcess) -> Iterator[Pages]:
    """Flower has found the worker, and asked it to tell of its tasks."""
    with flower(site.places(), site.folder) as address, browser() as page:
        pages = Pages(page, address)
        pages.until_worker(NODE, Status="Online")
        site.until_log("node", "enable_events")
        yield pages
