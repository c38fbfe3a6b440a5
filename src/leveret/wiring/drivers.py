"""URLs become drivers; a broker that is also the store is used as one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured
from leveret.model.endpoint import Url
from leveret.model.options import ControlOptions, DriverOptions
from leveret.model.telling.event import EventNames
from leveret.model.topology import Topology
from leveret.ports.backend import Backend, BlockingBackend
from leveret.ports.broker import BlockingBroker, Broker, Commit
from leveret.ports.clock import Clock
from leveret.ports.driver import (
    BackendDriver,
    BrokerDriver,
    Forgetful,
    Keeper,
    Pausing,
    Remembering,
    ReplyDriver,
    Revoking,
    Steerable,
)
from leveret.ports.leases import Chores
from leveret.ports.limiting.gate import Gate, Limiting
from leveret.ports.limiting.pauses import Pause, Pauses
from leveret.ports.operations.events import BlockingEventBus, EventBus, Eventful
from leveret.ports.operations.mailbox import Mailbox
from leveret.ports.operations.revocations import Revocations
from leveret.wiring import parts
from leveret.wiring.topology import build_topology

DISABLED, RPC = "disabled", "rpc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """The broker and the store of one app. `fused`: both are one server, so a settlement is one transaction."""

    broker: BrokerDriver
    backend: BackendDriver | None
    """None: results are messages, and the broker carries them."""
    fused: bool
    topology: Topology
    results: bool
    """False under `disabled://`: results are ignored; only fences and tombstones are kept, in the broker's store."""

    @property
    def remembers(self) -> bool:
        """Whether outcomes are kept: without a store that does, only the sender of a task can read its result."""
        return self.backend is not None

    @property
    def joins(self) -> bool:
        """Whether the members of a chord can meet where outcomes are kept."""
        return self.backend is not None and getattr(self.backend, "joins", True)

    @property
    def results_address(self) -> str:
        """For banners."""
        if not self.results:
            return "disabled"
        return f"rpc:// (messages to the sender, over {self.broker.address})" if self.replies else self._store.address

    @property
    def replies(self) -> ReplyDriver | None:
        """The broker, where results are messages."""
        return cast(ReplyDriver, self.broker) if self.backend is None else None

    @property
    def _store(self) -> BackendDriver:
        assert self.backend is not None
        return self.backend

    def events(self) -> EventBus | None:
        """For one loop; None where the broker has none."""
        return cast(Eventful, self.broker).events() if hasattr(self.broker, "events") else None

    def blocking_events(self) -> BlockingEventBus | None:
        return cast(Eventful, self.broker).blocking_events() if hasattr(self.broker, "blocking_events") else None

    def chores(self) -> Chores:
        """The upkeep of every server."""
        own = self.broker.chores()
        if self.fused or self.backend is None or not hasattr(self.backend, "chores"):
            return own
        return BothChores(own, cast(Keeper, self.backend).chores())

    @property
    def remembering(self) -> Remembering | None:
        """The store, where what is about to be sent must be written down: apart from the broker, and able to."""
        apart = not self.fused and hasattr(self.backend, "outbox")
        return cast(Remembering, self.backend) if apart else None

    def revocations(self) -> Revocations | None:
        """Where a claim looks, else where outcomes are kept; None: what is revoked lives in the nodes' memory."""
        for driver in (self.broker, self.backend):
            if hasattr(driver, "revocations"):
                return cast(Revoking, driver).revocations()
        return None

    def pauses(self) -> Pauses | None:
        """Where it is kept what the cluster does not start; None: nothing here would remember it."""
        for driver in (self.broker, self.backend):
            if hasattr(driver, "pauses"):
                return cast(Pausing, driver).pauses()
        return None

    async def paused(self) -> tuple[Pause, ...]:
        """Nothing where nobody remembers it."""
        pauses = self.pauses()
        return () if pauses is None else await pauses.all()

    @property
    def claims_look(self) -> bool:
        """Whether a claim itself tells what is revoked."""
        return hasattr(self.broker, "revocations")

    def limiting(self) -> Limiting | None:
        """Where limits are kept: the broker's server, else where outcomes are; None where neither can."""
        for driver in (self.broker, self.backend):
            if hasattr(driver, "gate"):
                return cast(Limiting, driver)
        return None

    @property
    def no_limits(self) -> str:
        """Why there is no `limiting`, and what to do about it; for whoever declares a limit."""
        if self.backend is None:
            return (
                f"{self.broker.address} keeps messages and nothing else: limits need a result_backend that can keep "
                "them, redis:// or sqlite://"
            )
        return f"no limits can be kept in {self.backend.address}: set result_backend to a lone Redis or to SQLite"

    def gate(self) -> Gate | None:
        limiting = self.limiting()
        return None if limiting is None else limiting.gate()

    def mailbox(self) -> Mailbox | None:
        """None where this broker carries no commands."""
        return cast(Steerable, self.broker).mailbox() if hasattr(self.broker, "mailbox") else None

    def commit(self) -> Commit | None:
        return cast(Commit, cast(Any, self.broker).commit()) if self.fused else None

    def backend_beside(self, broker: Broker, *, inline: bool = False) -> Backend:
        """The asynchronous face of the store for the loop of `broker`, which is this driver's."""
        return self._store.backend(inline=inline) if self.replies is None else self.replies.replies(broker)

    def blocking_backend(self) -> BlockingBackend:
        return self._store.blocking_backend() if self.replies is None else self.replies.blocking_replies()

    def reply_address(self, broker: BlockingBroker) -> Callable[[], str | None]:
        """What messages carry for whoever stores their results: where to ring, or where to send."""
        if self.replies is not None:
            return self.replies.reply_address
        # A store apart from the broker tells its waiters in its own way.
        return broker.reply_address if self.fused else _nowhere


def open_drivers(settings: Settings, clock: Clock) -> Drivers:
    """Make the drivers a settings value names; nothing is opened yet."""
    broker_url = required_broker_url(settings)
    backend_url = settings.result_backend or broker_url
    results = backend_url.scheme != DISABLED
    if not results:
        backend_url = broker_url
    options = driver_options(settings)
    broker = cast(BrokerDriver, make("brokers", broker_url, options, clock))
    if backend_url.scheme == RPC or (str(backend_url) == str(broker_url) and hasattr(broker, "replies")):
        if not hasattr(broker, "replies"):
            raise ImproperlyConfigured(
                f"result_backend rpc:// needs RabbitMQ as its broker, not {broker_url.masked}: leave result_backend out"
            )
        return Drivers(broker=broker, backend=None, fused=False, topology=options.topology, results=results)
    fused = str(backend_url) == str(broker_url) and hasattr(broker, "commit")
    backend = cast(BackendDriver, broker if fused else make("backends", backend_url, options, clock))
    if not fused and hasattr(broker, "use") and hasattr(backend, "ledger"):
        cast(Forgetful, broker).use(cast(Keeper, backend).ledger())
    return Drivers(broker=broker, backend=backend, fused=fused, topology=options.topology, results=results)


def chord_timeout(settings: Settings, drivers: Drivers) -> float | None:
    """The setting, where there is a store that can close a join."""
    if settings.chord_timeout is None or drivers.backend is None:
        return None
    if not getattr(drivers.backend, "closes_joins", False):
        raise ImproperlyConfigured(
            f"chord_timeout cannot be kept with results in {drivers.backend.address}: leave it out, or take "
            "sqlite:// or memory:// for result_backend"
        )
    return settings.chord_timeout


class BothChores:
    """`ports.leases.Chores` of a broker and of a store that are two servers."""

    def __init__(self, one: Chores, other: Chores) -> None:
        self._parts = (one, other)
        self._due = [0.0, 0.0]

    async def upkeep(self) -> float:
        for place, chores in enumerate(self._parts):
            if self._due[place] <= 0:
                self._due[place] = await chores.upkeep()
        wait = min(self._due)
        self._due = [due - wait for due in self._due]
        return wait


def _nowhere() -> None:
    return None


def required_broker_url(settings: Settings) -> Url:
    if settings.broker_url is None:
        raise ImproperlyConfigured(
            "the app was not made in a file (a REPL, a notebook), so there is no project folder for .leveret/queue.db: "
            'say where the queue is, Leveret(..., broker="sqlite:////full/path/queue.db") or broker="memory://"'
        )
    return settings.broker_url


def make(kind: str, url: Url, options: DriverOptions, clock: Clock) -> BrokerDriver | BackendDriver:
    """One driver by its URL's scheme."""
    if "://" not in str(url):
        setting = "broker_url" if kind == "brokers" else "result_backend"
        raise ImproperlyConfigured(
            f"{setting} {url.masked!r} is no URL: expected something like sqlite:///queue.db or memory://"
        )
    driver: BrokerDriver | BackendDriver = parts.load(kind, url.scheme)(url, options, clock)
    return driver


def event_names(settings: Settings) -> EventNames:
    if settings.event_queue_exclusive and settings.event_queue_durable:
        raise ImproperlyConfigured("event_queue_exclusive and event_queue_durable: a queue cannot be both, choose one")
    return EventNames(
        exchange=settings.event_exchange,
        queue_prefix=settings.event_queue_prefix,
        queue_ttl=settings.event_queue_ttl,
        queue_expires=settings.event_queue_expires,
        queue_exclusive=settings.event_queue_exclusive,
        queue_durable=settings.event_queue_durable,
    )


def driver_options(settings: Settings) -> DriverOptions:
    return DriverOptions(
        high_first=settings.high_first,
        result_expires=settings.result_expires,
        dead_letter_expires=settings.dead_letter_expires,
        lease_seconds=settings.lease_seconds,
        publish_timeout=settings.publish_timeout,
        topology=build_topology(settings),
        control=ControlOptions(
            namespace=settings.control_exchange,
            queue_ttl=settings.control_queue_ttl,
            queue_expires=settings.control_queue_expires,
            exclusive=settings.control_queue_exclusive,
            durable=settings.control_queue_durable,
        ),
        events=event_names(settings),
        tls=settings.broker_use_ssl,
        login_method=settings.broker_login_method,
        heartbeat_seconds=settings.broker_heartbeat,
        failover=settings.broker_failover_strategy,
        transport=settings.broker_transport_options,
        result_persistent=settings.result_persistent,
        result_transport={
            **settings.result_backend_transport_options,
            "ssl": settings.redis_backend_use_ssl,
            "socket_timeout": settings.redis_socket_timeout,
            "socket_connect_timeout": settings.redis_socket_connect_timeout,
        },
    )
