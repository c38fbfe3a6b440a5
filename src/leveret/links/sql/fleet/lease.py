"""Nodes, their leases and the fleet's tick in the file (DESIGN 3). Works inside a transaction."""

from collections.abc import Callable, Iterable

import msgspec

from leveret.links.sql.connection import Connection
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions

_ENCODE = msgspec.json.Encoder().encode
read_node: Callable[[str | bytes], Node] = msgspec.json.Decoder(Node).decode


def renew(connection: Connection, node: Node, now: float, options: DriverOptions) -> bool:
    """Renew or grant the lease; True when there was none (any more). Expired is not dead."""
    if connection.execute("renew_node", (now + options.lease_seconds, node.incarnation)).rowcount == 1:
        return False
    announce(connection, node, now, options)
    return True


def announce(connection: Connection, node: Node, now: float, options: DriverOptions) -> None:
    """Grant the lease and keep what the node is: its slots and queues may have changed."""
    row = (node.incarnation, node.name, node.boot, node.pid, _ENCODE(node), now + options.lease_seconds)
    connection.execute("save_node", row)


def enrol(connection: Connection, sessions: Iterable[Session]) -> None:
    """The node's processes, as far as they are not known."""
    for session in sessions:
        connection.execute("add_session", (session.id, session.incarnation, session.pid, session.quarantine))


def tick(connection: Connection, now: float, options: DriverOptions) -> float:
    """Note that the store answers, and answer from when on nodes may be reaped: after a silence in which nobody
    could have renewed, all get one lease of grace."""
    last, reap_from = connection.execute("read_fleet").fetchone()
    if last is None or now - last > options.tick_stale_seconds:
        reap_from = now + options.lease_seconds
    connection.execute("write_tick", (now, reap_from))
    return float(reap_from)
