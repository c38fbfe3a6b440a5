"""Leases of nodes, sessions of worker processes, and the fleet's tick (DESIGN 3)."""

from typing import TypeVar

from leveret.brokers.sql import claims, endings, reaping
from leveret.links.sql import messages
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database, Work
from leveret.links.sql.fleet.lease import announce, enrol, read_node, renew, tick
from leveret.links.sql.receipts import read_receipt
from leveret.model.delivery import Delivery, Receipt, Return, SessionId
from leveret.model.node import Node, Pulse, Reaping, Session
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock

T = TypeVar("T")


class SqlLeases:
    """`ports.leases.Leases`: each verb is one transaction."""

    def __init__(self, database: Database, options: DriverOptions, clock: Clock) -> None:
        self._database, self._options, self._clock = database, options, clock

    async def register(self, node: Node, sessions: tuple[Session, ...]) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            reaping.succeed(connection, node, now, self._options.lease_seconds)
            announce(connection, node, now, self._options)
            enrol(connection, sessions)

        await self._database.perform(work)

    async def beat(self, node: Node) -> Pulse:
        now = self._clock.now()

        def work(connection: Connection) -> Pulse:
            reap_from = tick(connection, now, self._options)
            revived = renew(connection, node, now, self._options)
            reaped = reaping.reap_orphans(connection, now)
            if now >= reap_from:
                for (incarnation,) in connection.execute("lost_nodes", (now,)).fetchall():
                    reaped += reaping.lose_node(connection, incarnation, now)
            return Pulse(suspects=self._suspects(connection, node), revived=revived, reaped=reaped)

        return await self._database.perform(work)

    async def reap(self, reapings: tuple[Reaping, ...]) -> int:
        now = self._clock.now()
        return await self._write(
            lambda connection: sum(reaping.end_session(connection, item, now) for item in reapings)
        )

    async def reconcile(self, session: SessionId, held: tuple[Receipt, ...]) -> tuple[Delivery, ...]:
        now, known = self._clock.now(), frozenset(held)

        def work(connection: Connection) -> tuple[Delivery, ...]:
            number, _ = claims.find_session(connection, session)
            lost = [item for _, item in claims.held(connection, number) if item.receipt not in known]
            for delivery in lost:
                # Counted: the request may have come late, when its session had run some of it; `admit` looks then.
                endings.give_back(connection, Return(receipt=delivery.receipt, counted=True), now)
            return tuple(lost)

        return await self._write(work)

    async def release(self, session: SessionId, keep: tuple[Receipt, ...]) -> int:
        now, kept = self._clock.now(), frozenset(read_receipt(receipt).hold for receipt in keep)

        def work(connection: Connection) -> int:
            row = connection.execute("find_session", (session,)).fetchone()
            held = connection.execute("session_claims", (row[0],)).fetchall() if row else []
            back = [(seq, row[0], number) for seq, number in held if (seq, row[0], number) not in kept]
            for hold in back:
                connection.execute("drop_claim", hold)
                # Counted: it may have ended with its outcome stored elsewhere; `admit` looks when the count is above 1.
                messages.put_back(connection, hold[0], now, delay=0.0, counted=True)
            return len(back)

        return await self._write(work)

    async def leave(self, node: Node) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            for row in connection.execute("node_sessions", (node.incarnation,)).fetchall():
                reaping.close(connection, row, now, charges={}, suspect_others=False)
            connection.execute("drop_node", (node.incarnation,))

        await self._write(work)

    async def nodes(self) -> tuple[Node, ...]:
        now = self._clock.now()
        rows = self._database.peek(lambda connection: connection.execute("alive_nodes", (now,)).fetchall())
        return tuple(read_node(facts) for (facts,) in rows)

    async def _write(self, work: Work[T]) -> T:
        return await self._database.perform(work)

    def _suspects(self, connection: Connection, node: Node) -> int:
        numbers = [number for name in node.queues if (number := connection.known_queue(name)) is not None]
        return sum(connection.execute("count_ready", (1, number)).fetchone()[0] for number in numbers)
