"""SQLite: the embedded default. One file is broker, leases and result store (DESIGN 6)."""

from leveret.brokers.sql.admin import SqlAdmin
from leveret.brokers.sql.blocking import Publisher, SqlBlockingBroker
from leveret.brokers.sql.broker import CAPABILITIES, SqlBroker, SqlCallerBroker
from leveret.brokers.sql.leases import SqlLeases
from leveret.brokers.sql.mailbox import SqlMailbox
from leveret.links.loopback.watchers import LoopbackBlockingEvents, LoopbackEvents
from leveret.links.sql.backend import SqlBackend, SqlBlockingBackend
from leveret.links.sql.database import Database
from leveret.links.sql.fleet.chores import SqlChores
from leveret.links.sql.fleet.examining import examine
from leveret.links.sql.fleet.revocations import SqlRevocations
from leveret.links.sql.limits.faces import KeepsLimits
from leveret.model.endpoint import Url
from leveret.model.insight.finding import Finding, Needs
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock


class SqlDriver(KeepsLimits):
    """`ports.driver.FusedDriver` for `sqlite:///file.db`. Opens nothing until asked; its parts share three
    connections; any thread, any loop and any forked child may use them."""

    capabilities = CAPABILITIES

    closes_joins = True

    def __init__(self, url: Url, options: DriverOptions, clock: Clock) -> None:
        self._database = Database(url, options.publish_timeout)
        self._publisher = Publisher(self._database, options, clock)
        self._options, self._clock = options, clock
        self._inline: SqlBroker | None = None
        self.address = str(self._database.path)

    def broker(self, *, inline: bool = True) -> SqlBroker:
        """`inline=False`: for a loop that serves others (`adelay`): no publish waits there for a slow disk, or for
        another's turn."""
        if not inline:
            return SqlCallerBroker(self._database, self._publisher, self._options, self._clock)
        self._inline = SqlBroker(self._database, self._publisher, self._options, self._clock)
        return self._inline

    def commit(self) -> SqlBroker:
        """The same object as the broker: what it claimed tells it what to do when that ends."""
        return self._inline or self.broker()

    def leases(self) -> SqlLeases:
        return SqlLeases(self._database, self._options, self._clock)

    def chores(self) -> SqlChores:
        return SqlChores(self._database, self._options, self._clock)

    def admin(self) -> SqlAdmin:
        return SqlAdmin(self._database, self._options, self._clock)

    def revocations(self) -> SqlRevocations:
        return SqlRevocations(self._database, self._clock)

    def mailbox(self) -> SqlMailbox:
        return SqlMailbox(self._database, self._clock)

    def blocking(self) -> SqlBlockingBroker:
        return SqlBlockingBroker(self._database, self._publisher)

    def backend(self, *, inline: bool = True) -> SqlBackend:
        return SqlBackend(self._database, self._options, self._clock, inline=inline)

    def blocking_backend(self) -> SqlBlockingBackend:
        return SqlBlockingBackend(self._database, self._options, self._clock)

    def events(self) -> LoopbackEvents:
        return LoopbackEvents(self._database.path)

    def blocking_events(self) -> LoopbackBlockingEvents:
        return LoopbackBlockingEvents(self._database.path)

    async def examine(self, needs: Needs) -> tuple[Finding, ...]:
        return examine(self._database, self._clock)

    def close(self) -> None:
        """Close the connections; the next use opens them again."""
        self._database.close()
