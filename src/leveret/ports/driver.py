"""One server, made from a URL; opens nothing until asked. Wiring finds it by the URL's scheme.

A factory `(url: Url, options: DriverOptions, clock: Clock) -> BrokerDriver | BackendDriver` is what the entry-point
groups `leveret.brokers` and `leveret.backends` name.
"""

from typing import Protocol

from leveret.ports.admin import Admin
from leveret.ports.backend import Backend, BlockingBackend
from leveret.ports.broker import BlockingBroker, Broker, Capability, Commit
from leveret.ports.leases import Chores, Leases


class BrokerDriver(Protocol):
    """The asynchronous parts belong to the loop that first awaits them and share one connection; the blocking part
    belongs to the process (it notices a fork)."""

    capabilities: frozenset[Capability]
    address: str
    """What banners and errors show: full path or host, password masked."""

    def broker(self, *, inline: bool = True) -> Broker:
        """`inline`: blocking work may run on the calling loop, as a worker's I/O loop wants it; callers' loops, which
        serve others, say False."""
        ...

    def leases(self) -> Leases: ...

    def chores(self) -> Chores: ...

    def admin(self) -> Admin: ...

    def blocking(self) -> BlockingBroker: ...


class BackendDriver(Protocol):
    address: str

    def backend(self, *, inline: bool = True) -> Backend:
        """`inline` as in `BrokerDriver.broker`."""
        ...

    def blocking_backend(self) -> BlockingBackend: ...


class FusedDriver(BrokerDriver, BackendDriver, Protocol):
    """Broker and store in one server: one connection, and one transaction for a whole settlement."""

    def commit(self) -> Commit: ...
