"""The worker's face of RabbitMQ: a session is a connection, a receipt is a delivery tag on it."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from leveret.brokers.amqp.holdings import Holdings, Orphans
from leveret.brokers.amqp.intake import Intake
from leveret.brokers.amqp.session import Session
from leveret.brokers.amqp.settling import GONE, Settling
from leveret.brokers.amqp.sidings import Sidings
from leveret.brokers.amqp.testimony import Book
from leveret.errors import LeaseLost
from leveret.links.amqp import declaring, letters, names
from leveret.links.amqp.address import Failover
from leveret.links.amqp.aio import AsyncConnection, connect
from leveret.links.amqp.publisher import Publisher, follow
from leveret.model.delivery import Claim, Delivery, Posting, Receipt, Return, SessionId, Verdict
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Stale
from leveret.model.topology import ERRBACK_PREFIX
from leveret.ports.broker import Capability
from leveret.ports.clock import Clock
from leveret.ports.ledger import Ledger

CAPABILITIES = frozenset({Capability.DELAY, Capability.PRIORITY, Capability.FANOUT, Capability.EXCHANGES})


class AmqpBroker:
    """`ports.broker.Broker` and `Severable`. `open` begins a session, which ends with its connection."""

    capabilities = CAPABILITIES

    def __init__(
        self, failover: Failover, publisher: Publisher, options: DriverOptions, clock: Clock, book: Book
    ) -> None:
        self._failover, self._publisher, self._options, self._clock = failover, publisher, options, clock
        self._sidings, self._book = Sidings(publisher, book, clock), book
        self._ledger: Ledger | None = None
        self._session: Session | None = None
        self._settling: Settling | None = None
        self._opened = asyncio.Event()
        self._connections = 0
        self._orphans = Orphans()
        self.on_socket: Callable[[str, Any], None] = lambda session, sock: None
        """Told each new consuming connection's socket: the supervisor holds a duplicate of it."""

    def use(self, ledger: Ledger) -> None:
        """Ask a store that remembers about every run; before the first session."""
        self._ledger = ledger

    # Sessions

    async def open(self, session: str, queues: tuple[str, ...], *, quarantine: bool = False) -> None:
        """Connect, declare, and begin `session`; nothing is consumed before the first claim."""
        present = self._session
        if present is not None and present.intake.error is None and present.holdings.session == session:
            return
        await self._end()
        connection = await connect(self._failover)
        try:
            served = self._options.topology.consumed(queues)
            for queue in served:
                await self._declare(connection, queue, quarantine=quarantine)
            consumed = tuple(map(names.suspects, served)) if quarantine else served
            intake = Intake(connection, consumed, self._options.topology)
            await intake.begin()
            if present is not None:
                await self._succeed(present, session)
        except BaseException:
            connection.abort()
            raise
        self.on_socket(session, connection.socket())
        self._connections += 1
        holdings = Holdings(session, self._connections, present.holdings.acknowledged if present else ())
        self._settling = Settling(intake, holdings, self._publisher, self._sidings, self._ledger)
        intake.on_unclaimed = self._settling.back
        self._session = Session(intake, holdings, self._sidings, self._book, self._ledger)
        self._session.quarantine, self._session.orphans = quarantine, self._orphans
        self._opened.set()

    async def _succeed(self, present: Session, session: str) -> None:
        """What goes on of the session before is the new one's; the rest is anybody's."""
        self._orphans.take_in(present.holdings)
        if self._ledger is not None:
            await self._ledger.end(SessionId(present.holdings.session))
            if runs := self._orphans.runs():
                await self._ledger.take(SessionId(session), runs)

    async def _declare(self, connection: AsyncConnection, queue: str, *, quarantine: bool) -> None:
        topology = self._options.topology
        await follow(connection, declaring.queue_and_bindings(topology, queue))
        if quarantine:
            await follow(connection, declaring.own_queue(names.suspects(queue)))
        elif not topology.celery or queue.startswith(ERRBACK_PREFIX):
            # Where the broker itself puts what exceeds the delivery limit.
            await self._sidings.make_dead_queue(queue)

    async def _end(self) -> None:
        self._opened.clear()
        if self._session is not None and self._session.intake.connection.error is None:
            # Also where only its channel was lost.
            await self._session.intake.connection.close()

    async def leave(self, session: str) -> None:
        """End a session in order: what it still holds goes back with its connection."""
        if self._session is not None and session == self._session.holdings.session:
            await self._end()

    async def severed(self) -> None:
        await self._opened.wait()
        session = self._session
        assert session is not None
        await session.intake.lost_event.wait()
        self._opened.clear()
        self._orphans.take_in(session.holdings)

    def check(self, session: str) -> Session:
        """The session of that name; raises `LeaseLost` unless it goes on."""
        present = self._session
        if present is None or present.intake.error is not None or session != present.holdings.session:
            why = present.intake.error if present is not None else None
            raise LeaseLost(f"session {session} is no more: {why or 'it was ended'}")
        return present

    # Broker

    async def publish(self, postings: tuple[Posting, ...]) -> None:
        if postings:
            now, mode = self._clock.now(), self._options.topology.delivery_mode
            await self._publisher.publish([letters.letter(one, now, mode=mode) for one in postings])

    async def claim(self, claim: Claim) -> tuple[Delivery, ...]:
        return await self.check(claim.session).claim(claim)

    async def settle(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        session = self._session
        if session is None or self._settling is None:
            return (GONE,) * len(commitments)
        gone = session.intake.error is not None
        if gone:
            self._orphans.take_in(session.holdings)
        for one in commitments:
            self._orphans.settle(one.receipt, session.holdings, ended=one.verdict is Verdict.ACK)
        return (GONE,) * len(commitments) if gone else await self._settling.settle(commitments)

    async def give_back(self, returns: tuple[Return, ...]) -> None:
        session = self._session
        if session is None or self._settling is None or not returns:
            return
        gone = session.intake.error is not None
        if gone:
            self._orphans.take_in(session.holdings)
        orphans = self._orphans.find(one.receipt for one in returns)
        if orphans and self._ledger is not None and not gone:
            # A session that is gone itself is ended as a whole.
            await self._ledger.take(SessionId(session.holdings.session), (), tuple(orphans.values()))
        self._orphans.forget(orphans)
        if not gone:
            await self._settling.give_back(returns)

    async def keep_only(self, session: str, receipts: Collection[Receipt]) -> None:
        """Give back what nobody here knows of any more: a settlement that could not be carried out."""
        stray = tuple(
            Return(receipt=receipt) for receipt in self.check(session).holdings.held if receipt not in receipts
        )
        if stray:
            await self.give_back(stray)

    async def bell(self, queues: tuple[str, ...], timeout: float) -> None:
        if self._session is not None:
            await self._session.intake.bell(timeout)

    def disown(self) -> None:
        """In a process forked from this one: let go of its sockets, without a word on them."""
        if self._session is not None:
            self._session.intake.connection.disown()
        self._publisher.disown()

    def abort(self) -> None:
        """Break both connections, as a network does."""
        if self._session is not None:
            self._session.intake.connection.abort()
        self._publisher.abort()

    async def close(self) -> None:
        await self._end()
        await self._publisher.close()
