"""Messages that have a lane, coming in and going back. Every function works inside a transaction of its caller's.

Law: a lane's messages are given rounds one after the other, none before the one that is being taken; whoever claims
takes round by round. So each lane has one message in each round, whatever waits behind it, and a claim reads its
messages from one index in order.
"""

from collections.abc import Mapping
from typing import Any

from leveret.links.sql.connection import Connection

Lane = tuple[int, int, str]
"""(queue, level, name)."""


class Rounds:
    """Gives rounds to the messages of one transaction; `save` in the end."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last: dict[Lane, int] = {}

    def give(self, lane: Lane) -> int:
        """The round of the lane's next message."""
        last = self._last.get(lane)
        if last is None:
            last = self._connection.execute("last_turn", lane).fetchone()[0]
        self._last[lane] = turn = int(last) + 1
        return turn

    def save(self) -> None:
        self._connection.executemany("save_lane", [(*lane, turn) for lane, turn in self._last.items()])


class Newcomers:
    """Postings with a lane, on their way in."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._rounds = connection, Rounds(connection)
        self._messages: list[tuple[Any, ...]] = []
        self._turns: list[tuple[int, int, int, int]] = []

    def add(self, row: tuple[Any, ...], lane: str, *, due: bool) -> None:
        """`row`: as `messages.row_of` makes it. What is not due is given its round when it is."""
        seq, _, queue, level = row[:4]
        turn = self._rounds.give((queue, level, lane)) if due else None
        self._messages.append((*row, lane, turn))
        if turn is not None:
            self._turns.append((queue, level, turn, seq))

    def write(self) -> None:
        if self._messages:
            self._connection.executemany("add_in_lane", self._messages)
            self._connection.executemany("add_turn", self._turns)
            self._rounds.save()


def make_ready(connection: Connection, seqs: list[int]) -> Mapping[int, int]:
    """Let messages that are due, or given back, wait for their turn; who had one has it still. Answers how many of each
    queue."""
    rounds, came = Rounds(connection), dict[int, int]()
    for seq in seqs:
        for queue, level, lane, turn in connection.execute("find_lane", (seq,)).fetchall():
            if turn is None:
                turn = rounds.give((queue, level, lane))
                connection.execute("give_turn", (turn, seq))
            connection.execute("add_turn", (queue, level, turn, seq))
            came[queue] = came.get(queue, 0) + 1
    rounds.save()
    return came
