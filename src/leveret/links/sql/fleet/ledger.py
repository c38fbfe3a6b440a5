"""The ledger in the file: `ports.ledger.Ledger` for a broker that is another server."""

from collections.abc import Callable

import msgspec

from leveret.links.alive import is_alive
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database
from leveret.links.sql.fleet.lease import announce, enrol, read_node, renew, tick
from leveret.model.delivery import Charge, SessionId
from leveret.model.node import Node, Pulse, Session, Testimony
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock
from leveret.ports.ledger import CLEAR, Run, Standing

NODE_LOST = "node lost"
KEPT_SECONDS = 86_400.0
"""How long charges, and runs of sessions that are gone, are remembered."""

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE: Callable[[bytes], tuple[Charge, ...]] = msgspec.msgpack.Decoder(tuple[Charge, ...]).decode


class SqlLedger:
    """Each verb is one transaction."""

    def __init__(self, database: Database, options: DriverOptions, clock: Clock) -> None:
        self._database, self._options, self._clock = database, options, clock

    async def register(self, node: Node, sessions: tuple[Session, ...]) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            others = connection.execute("predecessors", (node.name, node.boot, node.incarnation)).fetchall()
            for incarnation, pid, _ in others:
                if pid != node.pid and not is_alive(pid):
                    lose_node(connection, incarnation, now)
            announce(connection, node, now, self._options)
            enrol(connection, sessions)

        await self._database.perform(work)

    async def beat(self, node: Node) -> Pulse:
        now = self._clock.now()

        def work(connection: Connection) -> Pulse:
            reap_from = tick(connection, now, self._options)
            revived = renew(connection, node, now, self._options)
            lost = connection.execute("lost_nodes", (now,)).fetchall() if now >= reap_from else []
            for (incarnation,) in lost:
                lose_node(connection, incarnation, now)
            connection.execute("prune_testimonies", (now - KEPT_SECONDS,))
            connection.execute("prune_runs", (now - KEPT_SECONDS,))
            return Pulse(revived=revived, reaped=len(lost))

        return await self._database.perform(work)

    async def end(self, session: SessionId) -> None:
        def work(connection: Connection) -> None:
            connection.execute("drop_runs", (session,))
            row = connection.execute("session_row", (session,)).fetchone()
            if row is not None:
                connection.execute("drop_session", (row[0],))

        await self._database.perform(work)

    async def leave(self, node: Node) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            for _, session, _, _ in connection.execute("node_sessions", (node.incarnation,)).fetchall():
                connection.execute("drop_runs", (session,))
            lose_node(connection, node.incarnation, now)

        await self._database.perform(work)

    async def nodes(self) -> tuple[Node, ...]:
        now = self._clock.now()
        rows = self._database.peek(lambda connection: connection.execute("alive_nodes", (now,)).fetchall())
        return tuple(read_node(facts) for (facts,) in rows)

    async def take(
        self, session: SessionId, runs: tuple[Run, ...], ended: tuple[Run, ...] = ()
    ) -> tuple[Standing, ...]:
        now = self._clock.now()

        def work(connection: Connection) -> tuple[Standing, ...]:
            if ended:
                connection.executemany("drop_run", [(*run, session) for run in ended])
            told = runs and connection.execute("any_testimony").fetchone()[0]
            return tuple(_take(connection, session, run, now, bool(told)) for run in runs)

        return await self._database.perform(work)

    async def testify(self, told: tuple[Testimony, ...]) -> None:
        now = self._clock.now()

        def work(connection: Connection) -> None:
            for one in told:
                _testify(connection, one, now)

        await self._database.perform(work)


def _take(connection: Connection, session: str, run: Run, now: float, told: bool) -> Standing:
    lost = False
    if connection.execute("take_run", (*run, session, now)).rowcount != 1:
        holder, alive = connection.execute("run_holder", run).fetchone()
        if alive is not None and holder != session:
            return Standing(held_by=holder)
        lost = alive is None
        connection.execute("take_over_run", (session, now, *run))
    if not told and not lost:
        return CLEAR
    charges, suspect = _read(connection, run[0])
    # A charge is more than a suspicion: who is charged was seen doing it.
    return Standing(charges=charges, suspect=suspect or lost)


def _read(connection: Connection, id: str) -> tuple[tuple[Charge, ...], bool]:
    row = connection.execute("read_testimony", (id,)).fetchone()
    return (_DECODE(row[0]), bool(row[1])) if row else ((), False)


def _testify(connection: Connection, told: Testimony, now: float) -> None:
    charges, suspect = _read(connection, told.id)
    charges += tuple(charge for charge in told.charges if charge not in charges)
    connection.execute("save_testimony", (told.id, _ENCODE(charges), suspect or told.suspect, now))


def lose_node(connection: Connection, incarnation: str, now: float) -> None:
    """Forget a node and its sessions. What these had taken stays written, under sessions that are no more; what one had
    taken in quarantine, alone, is convicted."""
    for number, name, _, quarantine in connection.execute("node_sessions", (incarnation,)).fetchall():
        if quarantine:
            charge = Charge(reason=NODE_LOST, at=now, session=name)
            for (run,) in connection.execute("session_runs", (name,)).fetchall():
                _testify(connection, Testimony(id=run, charges=(charge,)), now)
        connection.execute("drop_session", (number,))
    connection.execute("drop_node", (incarnation,))
