"""Results in Redis, under Celery's keys: its workers and clients read ours, and we theirs. Beside them, for
a broker that is another server, what that cannot remember."""

from leveret.links.redis.ledger.grant import Grant
from leveret.links.redis.ledger.ledger import LedgerChores, NoChores, RedisLedger
from leveret.links.redis.ledger.outbox import OutboxVerbs, RedisBlockingOutbox, RedisOutbox
from leveret.links.redis.limits.faces import KeepsLimits
from leveret.links.redis.limits.verbs import LimitVerbs
from leveret.links.redis.location import locate
from leveret.links.redis.looking.examining import examine
from leveret.links.redis.results.backend import RedisBackend, RedisBlockingBackend, Store
from leveret.links.redis.results.pauses import RedisPauses
from leveret.links.redis.results.revocations import RedisRevocations
from leveret.model.endpoint import Url
from leveret.model.insight.finding import Finding, Needs
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock


class RedisBackendDriver(KeepsLimits):
    """`ports.driver.BackendDriver`, `Remembering` and `Keeper`. Opens nothing until asked."""

    closes_joins = shares_joins = True

    def __init__(self, url: Url, options: DriverOptions, clock: Clock) -> None:
        location = locate(url, options)
        self._store = Store(location, options, clock)
        self._options = options
        self._prefix, self._grant = location.prefix, Grant(location.shown)
        self._outbox = OutboxVerbs(location.prefix, self._grant)
        self._limits = LimitVerbs(location.prefix, "leveret:ledger:sessions")
        self._ledger: RedisLedger | None = None
        self.address = location.shown

    def backend(self, *, inline: bool = True) -> RedisBackend:
        return RedisBackend(self._store)

    def blocking_backend(self) -> RedisBlockingBackend:
        return RedisBlockingBackend(self._store)

    def outbox(self, *, inline: bool = True) -> RedisOutbox:
        return RedisOutbox(self._store.hubs, self._outbox)

    def blocking_outbox(self) -> RedisBlockingOutbox:
        return RedisBlockingOutbox(self._store.pool, self._outbox)

    def revocations(self) -> RedisRevocations:
        return RedisRevocations(self._store.hubs, f"{self._prefix}leveret:revoked", self._store.clock, self._grant)

    def pauses(self) -> RedisPauses:
        return RedisPauses(self._store.hubs, f"{self._prefix}leveret:paused", self._grant)

    def ledger(self) -> RedisLedger:
        if self._ledger is None:
            self._ledger = RedisLedger(self._store.hubs, self._prefix, self._grant, self._options)
        return self._ledger

    def chores(self) -> LedgerChores | NoChores:
        """Only a ledger that somebody asked for is kept up."""
        return NoChores() if self._ledger is None else LedgerChores(self._ledger)

    async def examine(self, needs: Needs) -> tuple[Finding, ...]:
        fleet = f"{self._prefix}leveret:ledger:"
        leases = (f"{fleet}leases", f"{fleet}nodes")
        return await examine(self._store.hubs, self.address, needs, self._store.clock, leases)
