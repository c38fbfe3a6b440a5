"""Redis as a broker, and as the store beside it: one server, one connection, one script for a whole settlement."""

from dataclasses import replace

from leveret.brokers.redis.admin import RedisAdmin
from leveret.brokers.redis.bell import Bell
from leveret.brokers.redis.blocking import RedisBlockingBroker
from leveret.brokers.redis.broker import CAPABILITIES, RedisBroker
from leveret.brokers.redis.checks import Checks
from leveret.brokers.redis.chores import RedisChores
from leveret.brokers.redis.doubts import Doubts
from leveret.brokers.redis.endings import Endings
from leveret.brokers.redis.kombu.events import Channels, RedisBlockingEvents, RedisEvents
from leveret.brokers.redis.kombu.exchanges import Exchanges
from leveret.brokers.redis.kombu.fanout import Ears
from leveret.brokers.redis.kombu.pidbox import RedisMailbox
from leveret.brokers.redis.kombu.recovery import RedisRecovery
from leveret.brokers.redis.leases import Attendants, RedisLeases
from leveret.brokers.redis.publishing import Desk
from leveret.errors import ImproperlyConfigured
from leveret.links.redis.ledger.grant import Grant
from leveret.links.redis.limits.faces import KeepsLimits
from leveret.links.redis.limits.verbs import LimitVerbs
from leveret.links.redis.location import locate_broker, results_prefix
from leveret.links.redis.looking.examining import examine
from leveret.links.redis.names import Names
from leveret.links.redis.results.backend import RedisBackend, RedisBlockingBackend, Store
from leveret.links.redis.results.pauses import RedisPauses
from leveret.links.redis.results.records import Keys
from leveret.links.redis.results.revocations import RedisRevocations
from leveret.model.endpoint import Url
from leveret.model.insight.finding import Finding, Needs
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock


class RedisDriver(KeepsLimits):
    """`ports.driver.FusedDriver`. Opens nothing until asked; its faces on one loop share one connection."""

    capabilities = CAPABILITIES
    closes_joins = shares_joins = True

    def __init__(self, url: Url, options: DriverOptions, clock: Clock) -> None:
        location = locate_broker(url, options)
        # Results stand under a prefix of their own, as with Celery.
        prefix = results_prefix(options)
        names = Names(location.prefix, high_first=options.high_first, transport=options.transport)
        self._store = Store(replace(location, prefix=prefix), options, clock)
        self._store.verbs.revoked_key = names.key("leveret:revoked")
        exchanges = Exchanges(names, options.topology, database=location.database, transport=options.transport)
        self._location, self._exchanges = location, exchanges
        self._desk = Desk(names, Keys(prefix), exchanges, _replicas(options))
        self._ears = Ears(names, exchanges)
        self._channels = Channels(exchanges, options.events, clock.new_id)
        self._endings = Endings(self._desk, self._store.verbs, options, self._store.channels)
        self._bell = Bell(self._store.hubs, names)
        self._checks = Checks(location)
        self._limits = LimitVerbs(names.prefix, "leveret:claims")
        self._options, self._clock, self._grant = options, clock, Grant(location.shown)
        self._worker: RedisBroker | None = None
        self.address = location.shown

    def broker(self, *, inline: bool = True) -> RedisBroker:
        """`inline`: a worker's own, one per driver; it never blocks, so a caller's loop gets one of the same kind."""
        if not inline:
            return self._new_broker(Bell(self._store.hubs, self._desk.names))
        if self._worker is None:
            self._worker = self._new_broker(self._bell)
        return self._worker

    def _new_broker(self, bell: Bell) -> RedisBroker:
        doubts = Doubts(self._store.verbs, self._endings)
        return RedisBroker(self._store.hubs, self._desk, self._endings, doubts, bell, self._clock)

    def commit(self) -> RedisBroker:
        """The same object as the broker: it has the messages of what it handed over."""
        return self.broker()

    def leases(self) -> RedisLeases:
        return RedisLeases(
            self._store.hubs, self._desk, Attendants(self._bell, self._checks, self._ears), self._options, self._clock
        )

    def chores(self) -> RedisChores:
        return RedisChores(self._store.hubs, self._desk.names, self._store.verbs, self._options)

    def admin(self) -> RedisAdmin:
        return RedisAdmin(self._store.hubs, self._desk, self._store.verbs)

    def revocations(self) -> RedisRevocations:
        return RedisRevocations(self._store.hubs, self._store.verbs.revoked_key, self._clock, self._grant)

    def pauses(self) -> RedisPauses:
        return RedisPauses(self._store.hubs, self._desk.names.key("leveret:paused"), self._grant)

    def mailbox(self) -> RedisMailbox:
        namespace = self._options.control.namespace
        return RedisMailbox(self._store.hubs, self._location, self._exchanges, namespace, self._clock)

    def events(self) -> RedisEvents:
        return RedisEvents(self._store.hubs, self._channels)

    def blocking_events(self) -> RedisBlockingEvents:
        return RedisBlockingEvents(self._store.pool, self._channels)

    async def examine(self, needs: Needs) -> tuple[Finding, ...]:
        name = self._desk.names.key
        leases = (name("leveret:leases"), name("leveret:nodes"))
        return await examine(self._store.hubs, self.address, needs, self._clock, leases)

    def recovery(self) -> RedisRecovery:
        return RedisRecovery(self._store.hubs, self._desk.names.prefix, self._options.transport, self._clock)

    def blocking(self) -> RedisBlockingBroker:
        return RedisBlockingBroker(self._store.pool, self._desk, self._clock)

    def backend(self, *, inline: bool = True) -> RedisBackend:
        return RedisBackend(self._store)

    def blocking_backend(self) -> RedisBlockingBackend:
        return RedisBlockingBackend(self._store)


def _replicas(options: DriverOptions) -> int:
    """How many replicas must have a message before its sender is told that it is sent."""
    given = options.transport.get("wait_replicas") or 0
    if not isinstance(given, int) or given < 0:
        raise ImproperlyConfigured(f"broker_transport_options: wait_replicas must be a number, not {given!r}")
    return given
