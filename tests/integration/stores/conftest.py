"""The servers of these tests."""

from tests.servers.fixtures import rabbit, rabbit_vhost, shared_redis  # noqa: F401 - fixtures
