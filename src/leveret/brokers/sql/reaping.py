"""The end of sessions: who is charged, who becomes suspect, what goes back. Works inside a transaction."""

from collections.abc import Mapping

from leveret.links.alive import is_alive, lives
from leveret.links.sql import messages
from leveret.links.sql.connection import Connection
from leveret.links.sql.fleet.ledger import NODE_LOST
from leveret.links.sql.receipts import read_receipt
from leveret.model.delivery import Charge
from leveret.model.node import Node, Reaping

ORPHAN_SECONDS = 3.0
"""How long the processes of a dead supervisor may finish what they run."""

Hold = tuple[int, int, int]
"""(place, session, number of the claim): what a receipt says."""

SessionRow = tuple[int, str, int, int]
"""(number, id, pid, quarantine)."""


def end_session(connection: Connection, reaping: Reaping, now: float) -> int:
    """End one session as its supervisor tells it: the charges first, so that no hand-over comes before them."""
    row = connection.execute("session_row", (reaping.session,)).fetchone()
    if row is None:
        return 0
    charges = {read_receipt(receipt).hold: charge for receipt, charge in reaping.charged}
    return close(connection, row, now, charges=charges, suspect_others=reaping.suspect_others)


def lose_session(connection: Connection, row: SessionRow, now: float) -> int:
    """End a session that vanished: what it held becomes suspect, or is convicted where it was held alone."""
    number, name, _, quarantine = row
    charges: dict[Hold, Charge] = {}
    if quarantine:
        charge = Charge(reason=NODE_LOST, at=now, session=name)
        charges = dict.fromkeys(holds(connection, number), charge)
    return close(connection, row, now, charges=charges, suspect_others=True)


def close(
    connection: Connection, row: SessionRow, now: float, *, charges: Mapping[Hold, Charge], suspect_others: bool
) -> int:
    """Give back what a session holds, and forget it. The work may have begun, so the next delivery counts one more:
    `admit` then looks for an outcome that was stored before the end."""
    number, name = row[:2]
    held = holds(connection, number)
    for hold in held:
        seq = hold[0]
        if hold in charges:
            messages.charge(connection, seq, charges[hold])
            if row[3]:  # convicted in quarantine: it is run nowhere else until it ends
                connection.execute("suspect_message", (seq,))
        elif suspect_others:
            connection.execute("suspect_message", (seq,))
        messages.put_back(connection, seq, now, delay=0.0, counted=True)
    connection.execute("drop_claims", (number,))
    connection.execute("drop_session", (number,))
    connection.execute("drop_session_bells", (name,))
    return len(held)


def holds(connection: Connection, number: int) -> list[Hold]:
    """What a session holds."""
    rows = connection.execute("session_claims", (number,)).fetchall()
    return [(seq, number, claimed) for seq, claimed in rows]


def lose_node(connection: Connection, incarnation: str, now: float) -> int:
    """End a node whose lease ran out."""
    sessions = connection.execute("node_sessions", (incarnation,)).fetchall()
    connection.execute("drop_node", (incarnation,))
    return sum(lose_session(connection, row, now) for row in sessions)


def succeed(connection: Connection, node: Node, now: float, lease_seconds: float) -> int:
    """Reap the node's predecessors: same name, same boot, process gone. Their worker processes that still live
    finish what they run; the next beats reap them."""
    back = 0
    others = connection.execute("predecessors", (node.name, node.boot, node.incarnation)).fetchall()
    for incarnation, pid, expires in others:
        if lives(node, pid, expires - lease_seconds):
            continue
        connection.execute("drop_node", (incarnation,))
        for row in connection.execute("node_sessions", (incarnation,)).fetchall():
            # Process 1 has no supervisor it could have outlived.
            if row[2] not in (1, pid, node.pid) and is_alive(row[2]):
                connection.execute("orphan_session", (now, row[0]))
            else:
                back += lose_session(connection, row, now)
    return back


def reap_orphans(connection: Connection, now: float) -> int:
    """Reap the sessions a predecessor left, when their process is gone or has had its time."""
    back = 0
    for number, name, pid, quarantine, since in connection.execute("orphans").fetchall():
        if now - since >= ORPHAN_SECONDS or not is_alive(pid):
            back += lose_session(connection, (number, name, pid, quarantine), now)
    return back
