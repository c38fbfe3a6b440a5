"""Sessions, deaths and upkeep where the broker keeps none of it: a session is a connection, and what a supervisor
knows of its children's deaths is its own memory, told to them before the broker hears."""

from collections.abc import Awaitable, Callable

import msgspec

from leveret.brokers.amqp.broker import AmqpBroker
from leveret.brokers.amqp.testimony import Book
from leveret.links.amqp import declaring, names
from leveret.links.amqp.publisher import Publisher, follow
from leveret.model.delivery import Delivery, Receipt, SessionId
from leveret.model.node import Node, Pulse, Reaping, Session, Testimony
from leveret.ports.ledger import Ledger


class AmqpLeases:
    """`ports.leases.Leases`. In a worker process `register` opens its connection; in a supervisor `reap` makes known
    what it saw."""

    def __init__(self, broker: Callable[[], AmqpBroker], publisher: Publisher, book: Book) -> None:
        self._broker, self._publisher, self._book = broker, publisher, book
        self.spread: Callable[[tuple[Testimony, ...]], Awaitable[None]] | None = None
        """The supervisor's way to its worker processes; returns when all have heard."""
        self.ledger: Ledger | None = None
        """A store that remembers for the broker: nodes, runs, charges."""

    async def register(self, node: Node, sessions: tuple[Session, ...]) -> None:
        if self.ledger is not None:
            # Before anything is consumed: a session that the ledger does not know is a dead one to others.
            await self.ledger.register(node, sessions)
        # A supervisor announces its children's sessions again after an outage; their connections are their own.
        for session in sessions:
            if self.spread is None:
                await self._broker().open(session.id, node.queues, quarantine=session.quarantine)

    async def beat(self, node: Node) -> Pulse:
        """The connection is what keeps messages; the ledger, where there is one, says who is alive. Asked is whether
        suspects wait."""
        pulse = Pulse() if self.ledger is None else await self.ledger.beat(node)
        if not self._book.has_suspects and self.ledger is None:
            return pulse
        lines = await self._publisher.open()
        total = 0
        for queue in node.queues:
            found = await follow(lines.connection, declaring.look(names.suspects(queue)))
            total += 0 if found is None else found.messages
        return msgspec.structs.replace(pulse, suspects=total)

    async def reap(self, reapings: tuple[Reaping, ...]) -> int:
        told: list[Testimony] = []
        for reaping in reapings:
            told += [Testimony(id=id_of(receipt), charges=(charge,)) for receipt, charge in reaping.charged]
            told += [Testimony(id=id_of(receipt), suspect=True) for receipt in reaping.suspects]
            # What was still running in a process that did not answer runs no more.
            told += [Testimony(id=name) for name in self._book.held_by(reaping.session)]
            await self._broker().leave(reaping.session)
        await self._tell(tuple(told))
        if self.ledger is not None:
            for reaping in reapings:
                await self.ledger.end(reaping.session)
        return 0

    async def reconcile(self, session: SessionId, held: tuple[Receipt, ...]) -> tuple[Delivery, ...]:
        """No reply can be lost, since deliveries come on its own connection; only what could not be settled is left."""
        await self._broker().keep_only(session, frozenset(held))
        return ()

    async def release(self, session: SessionId, keep: tuple[Receipt, ...]) -> int:
        """The supervisor ends the child's connection, which gives all back; what still runs there is waited for."""
        await self._tell(tuple(Testimony(id=id_of(receipt), held_by=session) for receipt in keep))
        return 0

    async def leave(self, node: Node) -> None:
        if self.ledger is not None:
            await self.ledger.leave(node)
        await self._publisher.close()

    async def nodes(self) -> tuple[Node, ...]:
        return () if self.ledger is None else await self.ledger.nodes()

    async def _tell(self, told: tuple[Testimony, ...]) -> None:
        if told:
            self._book.add(told)
            if self.ledger is not None:
                await self.ledger.testify(told)
            if self.spread is not None:
                await self.spread(told)


def id_of(receipt: Receipt) -> str:
    """The message a receipt of this driver is about."""
    return receipt.split("/", 2)[2]


class AmqpChores:
    """`ports.leases.Chores`: RabbitMQ promotes, expires and forgets by itself."""

    async def upkeep(self) -> float:
        return 3600.0
