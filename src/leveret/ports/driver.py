"""One server, made from a URL; opens nothing until asked. Wiring finds it by the URL's scheme.

A factory `(url: Url, options: DriverOptions, clock: Clock) -> BrokerDriver | BackendDriver` is what the entry-point
groups `leveret.brokers` and `leveret.backends` name.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from leveret.model.node import Testimony
from leveret.ports.admin import Admin
from leveret.ports.backend import Backend, BlockingBackend
from leveret.ports.broker import BlockingBroker, Broker, Capability, Commit
from leveret.ports.leases import Chores, Leases
from leveret.ports.ledger import Ledger
from leveret.ports.limiting.pauses import Pauses
from leveret.ports.operations.mailbox import Mailbox
from leveret.ports.operations.revocations import Revocations
from leveret.ports.outbox import BlockingOutbox, Outbox
from leveret.ports.recovery import Recovery
from leveret.ports.schedule import ScheduleStore


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


class Steerable(Protocol):
    """Declared by a broker driver that carries commands to nodes, and their answers back."""

    def mailbox(self) -> Mailbox: ...


class Revoking(Protocol):
    """Declared by a driver whose server remembers what is revoked. A broker's claims look there by themselves."""

    def revocations(self) -> Revocations: ...


class Pausing(Protocol):
    """Declared by a driver whose server remembers what is paused."""

    def pauses(self) -> Pauses: ...


class BackendDriver(Protocol):
    address: str

    def backend(self, *, inline: bool = True) -> Backend:
        """`inline` as in `BrokerDriver.broker`."""
        ...

    def blocking_backend(self) -> BlockingBackend: ...


class ReplyDriver(BrokerDriver, Protocol):
    """A broker that can carry results as messages to whoever waits (`rpc://`): its own store where none is named, but
    one without a memory: it has no fence, and only the sender reads what comes back."""

    def replies(self, broker: Broker) -> Backend:
        """On the connection that `broker` publishes on."""
        ...

    def blocking_replies(self) -> BlockingBackend: ...

    def reply_address(self) -> str: ...


class Witness(Protocol):
    """Declared by a driver whose broker keeps no record of deaths: the supervisor's memory stands in for it."""

    def on_socket(self, hold: Callable[[str, Any], None]) -> None:
        """In a worker process. `hold` is told session and socket of each consuming connection: the supervisor keeps a
        duplicate open until the charges are known, so that the broker cannot redeliver earlier."""
        ...

    def testify(self, told: tuple[Testimony, ...]) -> None:
        """In a worker process: what the supervisor saw; heard before the broker hands anything over again."""
        ...

    def on_testimony(self, spread: Callable[[tuple[Testimony, ...]], Awaitable[None]]) -> None:
        """In a supervisor. `spread` tells every worker process and returns when all have heard."""
        ...

    def known(self) -> tuple[Testimony, ...]:
        """In a supervisor: everything so far, for a process that is new."""
        ...


class Remembering(Protocol):
    """Declared by a store apart from the broker that can keep what is about to be sent."""

    def outbox(self, *, inline: bool = True) -> Outbox:
        """`inline` as in `BrokerDriver.broker`."""
        ...

    def blocking_outbox(self) -> BlockingOutbox: ...


class Forgetful(Protocol):
    """Declared by a broker that can use a store's memory (`ports.ledger`) where it has none of its own."""

    def use(self, ledger: Ledger) -> None: ...


class Keeper(Protocol):
    """Declared by a store apart from the broker: its own upkeep, and a ledger for brokers that need one."""

    def chores(self) -> Chores: ...

    def ledger(self) -> Ledger: ...


class Recoverable(Protocol):
    """Declared by a driver whose broker shows what workers of another system hold."""

    def recovery(self) -> Recovery: ...


class FusedDriver(BrokerDriver, BackendDriver, Protocol):
    """Broker and store in one server: one connection, and one transaction for a whole settlement."""

    def commit(self) -> Commit: ...


class ScheduleDriver(Protocol):
    """What the entry-point group `leveret.schedules` names is made as `(url, options, clock)`, as the others are."""

    address: str

    def schedules(self) -> ScheduleStore:
        """For the loop that first awaits it."""
        ...

    async def close(self) -> None: ...
