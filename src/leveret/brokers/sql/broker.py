"""The broker's face for workers and for callers' loops; on the same connection also `Commit`."""

import asyncio
import time
from contextlib import suppress
from typing import TypeVar

from leveret.brokers.sql import claims, endings
from leveret.brokers.sql.blocking import Publisher
from leveret.brokers.sql.disk import Disk
from leveret.errors import BrokerError, OperationalError, PublishFailed
from leveret.links.sql import idle, messages
from leveret.links.sql.bell import Bell
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database
from leveret.model.delivery import Claim, Delivery, Posting, Return
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Stale
from leveret.ports.broker import Capability
from leveret.ports.clock import Clock

T = TypeVar("T")

CAPABILITIES = frozenset(
    {
        Capability.DELAY,
        Capability.PRIORITY,
        Capability.DEDUPE,
        Capability.LEASE,
        Capability.COMMIT,
        Capability.PLACES,
        Capability.COUNTS,
        Capability.LANES,
    }
)


class SqlBroker:
    """`ports.broker.Broker` and `Commit`. Inline it runs its statements on the calling loop, as a worker's I/O loop
    wants it; else (`SqlCallerBroker`) no caller's loop waits for a slow disk."""

    capabilities = CAPABILITIES

    def __init__(self, database: Database, publisher: Publisher, options: DriverOptions, clock: Clock) -> None:
        self._database, self._publisher, self._options, self._clock = database, publisher, options, clock
        self._bell: Bell | None = None
        self._changes = -1
        self._session = ""
        self._suspects = False
        self._queues: tuple[str, ...] = ()
        self._scarce = False
        """Whether the last claim found less than it had room for."""
        self._plenty = False
        """Whether it got all it asked for: the next one need not look first whether there is work."""
        self._resting = ""
        """The bell's address while the session may be marked idle."""
        self._rung = False
        """Whether somebody has just called: there is work, and no need to look for it first."""
        self._listening = False

    async def publish(self, postings: tuple[Posting, ...]) -> None:
        now = self._clock.now()
        try:
            await self._database.perform(
                lambda connection: messages.publish(connection, postings, now, self._options.high_first), durable=True
            )
        except OperationalError as error:
            raise PublishFailed(str(error)) from error

    async def claim(self, claim: Claim) -> tuple[Delivery, ...]:
        now = self._clock.now()
        self._session, self._suspects = claim.session, claim.suspects
        rung, self._rung = self._rung, False
        if claim.credit < 1:
            return ()
        likely = rung or self._plenty
        if not likely and self._database.peek(lambda connection: claims.is_futile(connection, claim, now)):
            self._scarce = True
            return ()
        resting = self._resting

        def work(connection: Connection) -> tuple[Delivery, ...]:
            taken = claims.take(connection, claim, now)
            if taken and resting:
                idle.rise(connection, resting)
            return taken

        deliveries = await self._database.perform(work)
        self._scarce = len(deliveries) < claim.credit
        self._plenty = not self._scarce
        if deliveries:
            self._resting = ""
        return deliveries

    async def settle(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        now = self._clock.now()
        if endings.is_plain(commitments):
            try:
                return await self._database.perform(lambda connection: endings.acknowledge_all(connection, commitments))
            except endings.Uneven:
                pass
        return await self._database.perform(
            lambda connection: tuple(endings.settle(connection, commitment, now) for commitment in commitments)
        )

    async def commit(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        now = self._clock.now()
        if endings.is_plain(commitments):
            try:
                return await self._database.perform(lambda connection: self._commit_plain(connection, commitments, now))
            except endings.Uneven:
                pass
        return await self._database.perform(
            lambda connection: tuple(endings.commit(connection, item, now, self._options) for item in commitments)
        )

    async def commit_and_claim(
        self, commitments: tuple[Commitment, ...], claim: Claim
    ) -> tuple[tuple[Committed | Stale, ...], tuple[Delivery, ...]]:
        now = self._clock.now()
        # While `bell` waits the session stays marked: it has more slots than what is taken here fills.
        resting = "" if self._listening else self._resting

        def work(connection: Connection) -> tuple[tuple[Committed | Stale, ...], tuple[Delivery, ...]]:
            answers = tuple(endings.commit(connection, item, now, self._options) for item in commitments)
            return answers, claims.take_along(connection, claim, now, resting)

        answers, deliveries = await self._database.perform(work)
        self._scarce, self._plenty = len(deliveries) < claim.credit, False
        if deliveries and resting:
            self._resting = ""
        return answers, deliveries

    def _commit_plain(
        self, connection: Connection, commitments: tuple[Commitment, ...], now: float
    ) -> tuple[Committed | Stale, ...]:
        """Where there was no more to claim, the session lies down in the same transaction: a later one would stand in
        the way of the next call of him whose result this is."""
        answers = endings.commit_plain(connection, commitments, now, self._options)
        bell = self._bell
        if self._scarce and bell is not None and not self._has_work(connection, self._queues):
            self._mark_idle(connection, bell, self._queues)
        return answers

    async def give_back(self, returns: tuple[Return, ...]) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            for back in returns:
                endings.give_back(connection, back, now)

        await self._database.perform(work)

    async def bell(self, queues: tuple[str, ...], timeout: float) -> None:
        """Mark this session idle, then wait for its bell; look at the file's change counter every 0.5 s behind it."""
        bell, self._queues = self._own_bell(), queues
        heard, end = bell.generation, time.monotonic() + timeout
        self._database.peek(self._note_changes)
        if await self._lie_down(bell, queues):
            return
        self._listening = True
        try:
            await self._listen(bell, heard, end, queues)
        except asyncio.CancelledError:
            # A worker that stops: nobody must ring for it any more, and whoever just did rang for somebody else.
            with suppress(BrokerError):
                await self._database.perform(lambda connection: self._stand_up(connection, bell, queues))
            raise
        finally:
            self._listening = False

    async def _listen(self, bell: Bell, heard: int, end: float, queues: tuple[str, ...]) -> None:
        while (left := end - time.monotonic()) > 0:
            due = self._database.peek(messages.next_due)
            wait = self._options.poll_seconds if due is None else due - self._clock.now()
            await bell.listen(heard, min(left, max(wait, 0.0), self._options.poll_seconds))
            self._rung = bell.generation != heard
            if self._rung or (due is not None and due <= self._clock.now()):
                return
            if self._database.peek(lambda connection: self._has_news(connection, queues)):
                return

    async def close(self) -> None:
        bell, self._bell = self._bell, None
        if bell is not None:
            # The last ring may have come just before the stop, and was not followed by a claim.
            await self._database.perform(lambda connection: self._stand_up(connection, bell, self._queues))
            bell.close()

    def _own_bell(self) -> Bell:
        if self._bell is None:
            self._bell = Bell()
        return self._bell

    async def _lie_down(self, bell: Bell, queues: tuple[str, ...]) -> bool:
        """Mark the session idle unless there is work; True when there is. Work that comes after this transaction
        rings; what came before it is seen by it: nothing falls between."""

        def is_idle_already(connection: Connection) -> bool:
            return idle.is_waiting(connection, bell.address) and not self._has_work(connection, queues)

        def lie_down(connection: Connection) -> bool:
            if self._has_work(connection, queues):
                return True
            self._mark_idle(connection, bell, queues)
            return False

        if self._database.peek(is_idle_already):
            return False
        return await self._database.perform(lie_down)

    def _stand_up(self, connection: Connection, bell: Bell, queues: tuple[str, ...]) -> None:
        self._scarce = False
        rung = not idle.is_waiting(connection, bell.address)
        connection.execute("drop_bell", (bell.address,))
        if rung and self._has_work(connection, queues):
            sign = -1 if self._suspects else 1
            connection.added.update({sign * connection.queue(name): 1 for name in queues})

    def _mark_idle(self, connection: Connection, bell: Bell, queues: tuple[str, ...]) -> None:
        sign = -1 if self._suspects else 1
        numbers = [sign * connection.queue(name) for name in queues]
        idle.wait_for(connection, bell.address, self._session, numbers)
        self._resting = bell.address

    def _has_work(self, connection: Connection, queues: tuple[str, ...]) -> bool:
        return claims.has_ready(connection, queues, self._suspects)

    def _note_changes(self, connection: Connection) -> None:
        self._changes = connection.changes()

    def _has_news(self, connection: Connection, queues: tuple[str, ...]) -> bool:
        changes = connection.changes()
        if changes == self._changes:
            return False
        self._changes = changes
        return self._has_work(connection, queues)


class SqlCallerBroker(SqlBroker):
    """For loops that serve others: `Disk` decides who waits for the fsync, the loop or a thread."""

    def __init__(self, database: Database, publisher: Publisher, options: DriverOptions, clock: Clock) -> None:
        super().__init__(database, publisher, options, clock)
        self._disk = Disk(publisher, options.publish_timeout, clock.monotonic)

    async def publish(self, postings: tuple[Posting, ...]) -> None:
        await self._disk.publish(postings)

    async def publish_within(self, postings: tuple[Posting, ...], timeout: float) -> None:
        """`ports.broker.Punctual`."""
        await self._disk.publish(postings, timeout)
