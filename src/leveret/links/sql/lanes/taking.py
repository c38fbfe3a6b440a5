"""What a claim takes of queues with lanes. Every function works inside a transaction of its caller's."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from leveret.links.sql.connection import Connection


class Head(NamedTuple):
    """A message that may be taken: first those of one level, then round by round; in a round what has no lane is first.

    The order of the fields is the order of one queue.
    """

    level: int
    turn: int
    in_lane: bool
    seq: int
    queue: int


def choose(connection: Connection, queues: Sequence[int], credit: int) -> list[Head]:
    """Pick the most urgent, of these the oldest of those whose turn it is in their queue; the work does not grow with
    the backlog."""
    lines = [iter(line(connection, queue, credit)) for queue in queues]
    if len(lines) == 1:
        return list(lines[0])
    heads = [(head, own) for own in lines if (head := next(own, None)) is not None]
    chosen: list[Head] = []
    while heads and len(chosen) < credit:
        first = min(range(len(heads)), key=lambda place: (heads[place][0].level, heads[place][0].seq))
        head, own = heads[first]
        chosen.append(head)
        following = next(own, None)
        if following is None:
            del heads[first]
        else:
            heads[first] = following, own
    return chosen


def line(connection: Connection, queue: int, credit: int) -> list[Head]:
    """The next of one queue, in order."""
    plain = connection.execute("first_ready", (False, queue, credit)).fetchall()
    turns = connection.execute("first_turns", (queue, credit)).fetchall()
    heads = [Head(level, turn, True, seq, queue) for level, turn, seq in turns]
    # What has no lane is given its rounds here, one message in each, from the one that is being taken on.
    last: defaultdict[int, int] = defaultdict(int, connection.execute("all_rounds", (queue,)).fetchall())
    for level, seq in plain:
        last[level] += 1
        heads.append(Head(level, last[level], False, seq, queue))
    heads.sort()
    return heads[:credit]


def note_rounds(connection: Connection, taken: Sequence[Head]) -> None:
    """Remember the round, where lanes take turns. Also that of what has no lane: what it took while it was alone is
    no debt."""
    rounds: dict[tuple[int, int], int] = {}
    levels = {(head.queue, head.level) for head in taken if head.in_lane}
    for head in taken:
        place = (head.queue, head.level)
        if place in levels or _has_turns(connection, place):
            rounds[place] = max(rounds.get(place, 0), head.turn)
    connection.executemany("save_round", [(*place, turn) for place, turn in rounds.items()])


def _has_turns(connection: Connection, place: tuple[int, int]) -> bool:
    return connection.execute("any_turn", place).fetchone() is not None
