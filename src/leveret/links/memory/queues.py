"""Messages at rest in one in-process queue: ready by priority level, lanes in turn, send order; suspects apart, delayed
by time."""

from collections import deque
from heapq import heappop, heappush
from typing import Final

from msgspec.structs import replace

from leveret.model.delivery import Charge, Delivery, Place, Posting, Receipt, SessionId, Whereabouts

LEVELS: Final = 10


class Row:
    """One live message. Owned by the server, changed under its lock only."""

    __slots__ = ("charges", "count", "due", "level", "posting", "receipt", "sent", "seq", "session", "stamp", "suspect")

    def __init__(self, posting: Posting, seq: int, sent: float) -> None:
        self.posting = posting
        self.seq = seq
        self.sent = sent
        self.level = max(0, min(posting.priority, LEVELS - 1))
        self.due = posting.not_before or 0.0
        self.count = 0
        """Hand-overs that counted; the delivery now out, if any, is one more."""
        self.charges: tuple[Charge, ...] = ()
        self.suspect = False
        self.receipt: Receipt | None = None
        self.session: SessionId | None = None
        self.stamp = 0
        """Raised at each move: heap entries with an older stamp are dead (deleting from a heap is not worth it)."""

    def delivery(self, receipt: Receipt) -> Delivery:
        return Delivery(
            receipt=receipt,
            queue=self.posting.queue,
            encoded=self.posting.encoded,
            count=self.count + 1,
            charges=self.charges,
            suspect=self.suspect,
        )

    def whereabouts(self, node: str) -> Whereabouts:
        """Of a row that cannot be claimed now: `node` holds it, else it is delayed."""
        if self.session is not None:
            return Whereabouts(place=Place.CLAIMED, queue=self.posting.queue, node=node)
        return Whereabouts(place=Place.DELAYED, queue=self.posting.queue, due=self.due)

    def traced(self, node: str, now: float) -> Whereabouts:
        """As `whereabouts`, of any row, with what it carries."""
        known = self.whereabouts(node)
        place = Place.READY if self.session is None and self.due <= now else known.place
        due = None if place is Place.READY else known.due
        return replace(known, place=place, due=due, encoded=self.posting.encoded, charges=self.charges)


Heap = list[tuple[int, int, Row]]
"""(seq, stamp, row)."""


class Level:
    """The ready rows of one queue and one priority. What has no lane is one more lane, called ""."""

    __slots__ = ("lanes", "turns")

    def __init__(self) -> None:
        self.lanes: dict[str, Heap] = {"": []}
        self.turns: deque[str] = deque()
        """Whose turn it is, and whose are next; empty while nothing has a lane."""

    def push(self, row: Row) -> None:
        lane = row.posting.lane
        if lane not in self.lanes:
            self.lanes[lane] = []
            if not self.turns:
                self.turns.append("")
            self.turns.append(lane)
        heappush(self.lanes[lane], (row.seq, row.stamp, row))

    def head(self) -> int | None:
        """Answer the sequence number of the row that is next; lanes that have run empty lose their turn."""
        turns = self.turns
        while turns:
            if (seq := head(self.lanes[turns[0]])) is not None:
                return seq
            lane = turns.popleft()
            if lane:
                del self.lanes[lane]
            elif turns:
                turns.append(lane)
        return head(self.lanes[""])

    def pop(self) -> Row:
        """Take the row that `head` found."""
        if not self.turns:
            return heappop(self.lanes[""])[2]
        self.turns.rotate(-1)
        return heappop(self.lanes[self.turns[-1]])[2]


class QueueState:
    """The rows of one queue that nobody holds."""

    __slots__ = ("delayed", "ready", "suspects")

    def __init__(self) -> None:
        self.ready = [Level() for _ in range(LEVELS)]
        self.suspects = [Level() for _ in range(LEVELS)]
        self.delayed: list[tuple[float, int, int, Row]] = []

    def add(self, row: Row, now: float) -> bool:
        """Put a row where it belongs; True when it can be claimed now."""
        row.stamp += 1
        if row.due > now:
            heappush(self.delayed, (row.due, row.seq, row.stamp, row))
            return False
        self._push(row)
        return True

    def promote(self, now: float) -> bool:
        """Move what is due to its place among the ready; True when anything moved."""
        moved = False
        while self.delayed and self.delayed[0][0] <= now:
            _, _, stamp, row = heappop(self.delayed)
            if row.stamp == stamp:
                self._push(row)
                moved = True
        return moved

    def next_due(self) -> float | None:
        while self.delayed and self.delayed[0][3].stamp != self.delayed[0][2]:
            heappop(self.delayed)
        return self.delayed[0][0] if self.delayed else None

    def _push(self, row: Row) -> None:
        (self.suspects if row.suspect else self.ready)[row.level].push(row)


def head(heap: Heap) -> int | None:
    """Answer the sequence number of the first live row, dropping dead entries before it."""
    while heap and heap[0][2].stamp != heap[0][1]:
        heappop(heap)
    return heap[0][0] if heap else None


def take(queues: list[QueueState], levels: tuple[int, ...], credit: int, *, suspects: bool) -> list[Row]:
    """Pop at most `credit` rows: in the order of `levels`, within one level the oldest of those whose turn it is in
    their queue."""
    taken: list[Row] = []
    for level in levels:
        found = [(queue.suspects if suspects else queue.ready)[level] for queue in queues]
        while len(taken) < credit:
            heads = [(seq, one) for one in found if (seq := one.head()) is not None]
            if not heads:
                break
            taken.append(min(heads, key=lambda pair: pair[0])[1].pop())
        if len(taken) == credit:
            break
    return taken
