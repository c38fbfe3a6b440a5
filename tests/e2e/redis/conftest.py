"""Servers of these drills."""

from tests.servers.fixtures import own_redis, own_sentinels  # noqa: F401 - fixtures
