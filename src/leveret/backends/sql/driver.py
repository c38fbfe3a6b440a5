"""Results in a SQLite file, for programs whose broker is another server. Where broker and store are the same file
wiring takes `brokers.sql.driver.SqlDriver` alone: it is both, and settles in one transaction."""

from leveret.links.sql.backend import SqlBackend, SqlBlockingBackend
from leveret.links.sql.database import Database
from leveret.links.sql.fleet.chores import SqlChores
from leveret.links.sql.fleet.examining import examine
from leveret.links.sql.fleet.ledger import SqlLedger
from leveret.links.sql.fleet.outbox import SqlBlockingOutbox, SqlOutbox
from leveret.links.sql.fleet.revocations import SqlRevocations
from leveret.links.sql.limits.faces import KeepsLimits
from leveret.model.endpoint import Url
from leveret.model.insight.finding import Finding, Needs
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock


class SqlBackendDriver(KeepsLimits):
    """`ports.driver.BackendDriver`. Opens nothing until asked."""

    closes_joins = True

    def __init__(self, url: Url, options: DriverOptions, clock: Clock) -> None:
        self._database = Database(url, options.publish_timeout)
        self._options, self._clock = options, clock
        self.address = str(self._database.path)

    def backend(self, *, inline: bool = True) -> SqlBackend:
        return SqlBackend(self._database, self._options, self._clock, inline=inline)

    def blocking_backend(self) -> SqlBlockingBackend:
        return SqlBlockingBackend(self._database, self._options, self._clock)

    def chores(self) -> SqlChores:
        return SqlChores(self._database, self._options, self._clock)

    def outbox(self, *, inline: bool = True) -> SqlOutbox:
        return SqlOutbox(self._database, self._clock, inline=inline)

    def blocking_outbox(self) -> SqlBlockingOutbox:
        return SqlBlockingOutbox(self._database, self._clock)

    def revocations(self) -> SqlRevocations:
        return SqlRevocations(self._database, self._clock)

    def ledger(self) -> SqlLedger:
        return SqlLedger(self._database, self._options, self._clock)

    async def examine(self, needs: Needs) -> tuple[Finding, ...]:
        return examine(self._database, self._clock)

    def close(self) -> None:
        self._database.close()
