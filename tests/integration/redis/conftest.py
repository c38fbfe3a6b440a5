"""The servers of these tests."""

from tests.integration.redis.fixtures import own_server, server, shared_server  # noqa: F401 - fixtures
