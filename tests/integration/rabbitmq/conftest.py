"""A RabbitMQ of the tests' own."""

from tests.servers.fixtures import rabbit, rabbit_vhost

__all__ = ["rabbit", "rabbit_vhost"]
