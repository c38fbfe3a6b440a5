"""The servers whose tools are tested here."""

from tests.servers.fixtures import own_rabbit, own_redis, rabbit, rabbit_cluster, rabbit_proxy, rabbit_vhost

__all__ = ["own_rabbit", "own_redis", "rabbit", "rabbit_cluster", "rabbit_proxy", "rabbit_vhost"]
