"""Who waits for work: the table `bells`. A session marks itself idle; whoever adds work calls as many as it needs."""

import json
from collections.abc import Iterable

from leveret.links.sql.connection import Connection


def call(connection: Connection) -> None:
    """Choose idle sessions for the work added in this transaction, one a message, and mark them no longer idle."""
    idle = connection.execute("idle_bells").fetchall()
    connection.more_to_do = bool(idle)
    for address, names in idle:
        wanted = [number for number in json.loads(names) if connection.added.get(number, 0) > 0]
        if wanted:
            connection.added[wanted[0]] -= 1
            connection.rings.add(address)
            connection.execute("busy_bell", (address,))


def wait_for(connection: Connection, address: str, session: str, queues: Iterable[int]) -> None:
    """Mark a session idle. One that takes suspects only waits for the negative numbers of its queues."""
    connection.execute("set_bell", (address, session, json.dumps(list(queues))))


def rise(connection: Connection, address: str) -> None:
    """The session of that bell has taken work: others are to be called for what comes next."""
    connection.execute("busy_bell", (address,))


def is_waiting(connection: Connection, address: str) -> bool:
    row = connection.execute("find_bell", (address,)).fetchone()
    return row is not None and bool(row[0])
