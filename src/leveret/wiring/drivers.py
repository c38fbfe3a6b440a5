"""URLs become drivers; a broker that is also the store is used as one."""

from dataclasses import dataclass
from typing import Any, cast

from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.ports.broker import Commit
from leveret.ports.clock import Clock
from leveret.ports.driver import BackendDriver, BrokerDriver
from leveret.wiring import parts

DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drivers:
    """The broker and the store of one app. `fused`: both are one server, so a settlement is one transaction."""

    broker: BrokerDriver
    backend: BackendDriver
    fused: bool
    results: bool
    """False under `disabled://`: results are ignored; only fences and tombstones are kept, in the broker's store."""

    def commit(self) -> Commit | None:
        return cast(Commit, cast(Any, self.broker).commit()) if self.fused else None


def open_drivers(settings: Settings, clock: Clock) -> Drivers:
    """Make the drivers a settings value names; nothing is opened yet."""
    broker_url = required_broker_url(settings)
    backend_url = settings.result_backend or broker_url
    results = backend_url.scheme != DISABLED
    if not results:
        backend_url = broker_url
    options = driver_options(settings)
    broker = cast(BrokerDriver, make("brokers", broker_url, options, clock))
    fused = str(backend_url) == str(broker_url) and hasattr(broker, "commit")
    backend = cast(BackendDriver, broker if fused else make("backends", backend_url, options, clock))
    return Drivers(broker=broker, backend=backend, fused=fused, results=results)


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


def driver_options(settings: Settings) -> DriverOptions:
    return DriverOptions(
        high_first=settings.high_first,
        result_expires=settings.result_expires,
        dead_letter_expires=settings.dead_letter_expires,
        lease_seconds=settings.lease_seconds,
        publish_timeout=settings.publish_timeout,
        result_transport={
            **settings.result_backend_transport_options,
            "ssl": settings.redis_backend_use_ssl,
            "socket_timeout": settings.redis_socket_timeout,
            "socket_connect_timeout": settings.redis_socket_connect_timeout,
        },
    )
