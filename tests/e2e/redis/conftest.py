"""Servers of these drills."""

from tests.servers.fixtures import own_redis  # noqa: F401 - fixture
