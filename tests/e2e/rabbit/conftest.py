"""The servers of the drills on RabbitMQ."""

from tests.servers.fixtures import own_rabbit, own_redis, rabbit, rabbit_cluster, rabbit_vhost

__all__ = ["own_rabbit", "own_redis", "rabbit", "rabbit_cluster", "rabbit_vhost"]
