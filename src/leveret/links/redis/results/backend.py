"""The result-store faces of Redis; every driver of a Redis hands them out, and siblings do not see each other."""

from collections.abc import Sequence

from leveret.links.redis.blocking import Pool
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.location import Location
from leveret.links.redis.results.records import Keys
from leveret.links.redis.results.verbs import Verbs
from leveret.links.redis.results.waiting import of_server, wait
from leveret.links.redis.results.watch import Watch
from leveret.links.redis.rights import Channels
from leveret.model.message import Addition, Header
from leveret.model.options import DriverOptions
from leveret.model.settlement import Joined, Record, Seat
from leveret.ports.clock import Clock


class Store:
    """What both faces share: where the store is, its verbs, and whether channels may be used."""

    def __init__(self, location: Location, options: DriverOptions, clock: Clock) -> None:
        self.location = location
        self.clock = clock
        self.channels = Channels(location.shown)
        self.verbs = Verbs(Keys(location.prefix), options, self.channels, clock.now)
        self.hubs = Hubs(location, self.channels, clock.jitter)
        self.pool = Pool(location)


class RedisBackend:
    """`ports.backend.Backend`, `ClosesJoins`, `SharedJoins` and `GrowsJoins`: one connection, which belongs to the loop
    that awaits it. It never blocks, so it is the same for a worker's loop and for others."""

    closes_joins = shares_joins = True

    def __init__(self, store: Store) -> None:
        self._hubs = store.hubs
        self._verbs = store.verbs

    async def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        return await self._hubs.own().perform(self._verbs.store(records)) if records else ()

    async def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        return await self._hubs.own().perform(self._verbs.get(ids)) if ids else ()

    async def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        if not ids:
            return ()
        watch = Watch(self._verbs.keys, ids)
        await self._hubs.own().wait(watch, timeout)
        return tuple(watch.records)

    async def arrive(self, seats: tuple[Seat, ...]) -> tuple[Joined, ...]:
        return await self._hubs.own().perform(self._verbs.arrive(seats)) if seats else ()

    async def grow(self, additions: tuple[Addition, ...]) -> tuple[bool, ...]:
        return await self._hubs.own().perform(self._verbs.grow(additions)) if additions else ()

    async def opened(self, joins: tuple[Header, ...]) -> None:
        if joins:
            await self._hubs.own().perform(self._verbs.opened(joins))

    async def fired(self, joins: tuple[str, ...]) -> None:
        if joins:
            await self._hubs.own().perform(self._verbs.fired(joins))

    async def forget(self, ids: Sequence[str]) -> None:
        if ids:
            await self._hubs.own().perform(self._verbs.forget(ids))

    async def close(self) -> None:
        self._hubs.close()


class RedisBlockingBackend:
    """`ports.backend.BlockingBackend`: on the calling thread."""

    shares_joins = True

    def __init__(self, store: Store) -> None:
        self._store = store
        self._verbs = store.verbs
        self._pool = store.pool

    def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        return self._pool.perform(self._verbs.get(ids)) if ids else ()

    def wait(self, ids: Sequence[str], timeout: float) -> tuple[Record | None, ...]:
        if not ids:
            return ()
        watch = Watch(self._verbs.keys, ids)
        wait(of_server(self._pool, watch, self._store.channels, self._store.clock.jitter), watch, timeout)
        return tuple(watch.records)

    def store(self, records: tuple[Record, ...]) -> tuple[bool, ...]:
        return self._pool.perform(self._verbs.store(records)) if records else ()

    def grow(self, additions: tuple[Addition, ...]) -> tuple[bool, ...]:
        return self._pool.perform(self._verbs.grow(additions)) if additions else ()

    def forget(self, ids: Sequence[str]) -> None:
        if ids:
            self._pool.perform(self._verbs.forget(ids))

    def close(self) -> None:
        self._pool.close()
