"""Results in a Redis Cluster, under the keys they have in a lone Redis. Nothing else of ours: what is about several
tasks at once (a queue, a chord, a schedule) would have to be in several of its nodes at once."""

from collections.abc import Sequence

from leveret.errors import ImproperlyConfigured
from leveret.links.redis.cluster.keys import ClusterKeys
from leveret.links.redis.cluster.nodes import Cluster
from leveret.links.redis.cluster.waiting import Waiting, of_cluster
from leveret.links.redis.location import locate
from leveret.links.redis.results.verbs import Verbs
from leveret.links.redis.results.waiting import wait
from leveret.links.redis.results.watch import Watch
from leveret.links.redis.rights import Channels
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.model.settlement import Joined, Record, Seat
from leveret.ports.clock import Clock

NO_JOINS = "the members of a chord cannot meet in a Redis Cluster: set result_backend to a lone Redis or to SQLite"


class RedisClusterDriver:
    """`ports.driver.BackendDriver`. Opens nothing until asked."""

    joins = False

    def __init__(self, url: Url, options: DriverOptions, clock: Clock) -> None:
        location = locate(url, options)
        self._clock = clock
        self._channels = Channels(location.shown)
        self._verbs = Verbs(ClusterKeys(location.prefix), options, self._channels, clock.now, apart=True)
        self._cluster = Cluster(location, self._channels, clock.jitter)
        self._waiting = Waiting(self._cluster, self._verbs, self._channels, clock.jitter)
        self.address = location.shown

    def backend(self, *, inline: bool = True) -> "ClusterBackend":
        return ClusterBackend(self._cluster, self._verbs, self._waiting)

    def blocking_backend(self) -> "ClusterBlockingBackend":
        return ClusterBlockingBackend(self._cluster, self._verbs, self._channels, self._clock)


class ClusterBackend:
    """`ports.backend.Backend`: a connection to each node it talks to, which belong to the loop that awaits it."""

    def __init__(self, cluster: Cluster, verbs: Verbs, waiting: Waiting) -> None:
        self._cluster, self._verbs, self._waiting = cluster, verbs, waiting

    async def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        return await self._cluster.perform(self._verbs.store(records)) if records else ()

    async def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        return await self._cluster.perform(self._verbs.get(ids)) if ids else ()

    async def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        if not ids:
            return ()
        watch = Watch(self._verbs.keys, ids)
        await self._waiting.wait(watch, timeout)
        return tuple(watch.records)

    async def arrive(self, seats: tuple[Seat, ...]) -> tuple[Joined, ...]:
        """Chords are refused where they are sent; this is of somebody whose results are elsewhere."""
        if not seats:
            return ()
        raise ImproperlyConfigured(NO_JOINS)

    async def forget(self, ids: Sequence[str]) -> None:
        if ids:
            await self._cluster.perform(self._verbs.forget(ids))

    async def close(self) -> None:
        self._cluster.close_loop()


class ClusterBlockingBackend:
    """`ports.backend.BlockingBackend`: on the calling thread, one node after the other."""

    def __init__(self, cluster: Cluster, verbs: Verbs, channels: Channels, clock: Clock) -> None:
        self._cluster, self._verbs, self._channels, self._clock = cluster, verbs, channels, clock

    def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        return self._cluster.carry_out(self._verbs.get(ids)) if ids else ()

    def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        if not ids:
            return ()
        watch = Watch(self._verbs.keys, ids)
        wait(of_cluster(self._cluster, self._verbs, watch, self._channels, self._clock.jitter), watch, timeout)
        return tuple(watch.records)

    def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        return self._cluster.carry_out(self._verbs.store(records)) if records else ()

    def forget(self, ids: Sequence[str]) -> None:
        if ids:
            self._cluster.carry_out(self._verbs.forget(ids))

    def close(self) -> None:
        self._cluster.close()
