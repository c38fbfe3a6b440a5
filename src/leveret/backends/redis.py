"""Results in Redis, under Celery's keys: its workers and clients read ours, and we theirs."""

from leveret.links.redis.location import locate
from leveret.links.redis.results.backend import RedisBackend, RedisBlockingBackend, Store
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock


class RedisBackendDriver:
    """`ports.driver.BackendDriver`. Opens nothing until asked."""

    closes_joins = True

    def __init__(self, url: Url, options: DriverOptions, clock: Clock) -> None:
        location = locate(url, options)
        self._store = Store(location, options, clock)
        self.address = location.shown

    def backend(self, *, inline: bool = True) -> RedisBackend:
        return RedisBackend(self._store)

    def blocking_backend(self) -> RedisBlockingBackend:
        return RedisBlockingBackend(self._store)
