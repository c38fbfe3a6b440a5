"""Outcomes, tombstones and joins of one in-process store."""

from collections.abc import Sequence
from heapq import heappop, heappush

from leveret.links.memory.bells import Bells
from leveret.model.delivery import Posting
from leveret.model.message import Addition
from leveret.model.options import DriverOptions
from leveret.model.settlement import ADDED, Joined, Record, Seat
from leveret.model.state import RETRY, REVOKED


class Join:
    __slots__ = ("added", "closed", "size", "values")

    def __init__(self, size: int) -> None:
        self.size = size
        self.values: dict[int, bytes] = {}
        self.added: dict[str, int] = {}
        """Member -> its place among those added."""
        self.closed = False
        """A member failed: it stays open for ever."""

    @property
    def complete(self) -> bool:
        return not self.closed and len(self.values) >= self.size

    def place(self, id: str, index: int) -> int | None:
        """Where the value of a member stands; None: of one that was added nobody has been told."""
        if index != ADDED:
            return index
        return ADDED + self.added[id] if id in self.added else None

    def grow(self, id: str) -> int:
        self.added[id] = len(self.added)
        self.size += 1
        return ADDED + self.added[id]


class Records:
    """Touched under the server's lock only."""

    def __init__(self, options: DriverOptions, bells: Bells) -> None:
        self._options = options
        self._bells = bells
        self._records: dict[str, Record] = {}
        self._joins: dict[str, Join] = {}
        self._expiries: list[tuple[float, int, str, bool]] = []
        """A heap of (moment, order, key, whether it is a join); a record stored again has a later entry too."""
        self._deadlines: dict[str, float] = {}
        self._order = 0

    def refuses(self, record: Record) -> bool:
        """The fence: a terminal record or one of a later attempt is there.

        A retry is the outcome of its attempt: a late STARTED or progress of the same attempt must not hide it from
        the `admit` that has to replay it.
        """
        known = self._records.get(record.id)
        if known is None:
            return False
        if known.terminal or known.attempt > record.attempt:
            return True
        outcome = record.terminal or record.tombstone or record.state == RETRY
        return known.attempt == record.attempt and known.state == RETRY and not outcome

    def store(self, record: Record, now: float) -> bool:
        if self.refuses(record):
            return False
        self._records[record.id] = record
        seconds = record.expires_after
        if seconds is None and record.tombstone:
            seconds = self._options.tombstone_expires
        self._deadlines.pop(record.id, None)
        if seconds is not None:
            self._deadlines[record.id] = now + seconds
            self._expire_at(now + seconds, record.id, join=False)
        self._bells.ring(record.id)
        if record.reply_to:
            self._bells.ring(record.reply_to)
        return True

    def stops(self, posting: Posting) -> bool:
        """The door: whether what is stored says that this posting has run already. A revocation does not: it may come
        before the message, and whoever claims that has to end it for those behind it."""
        known = self._records.get(posting.id)
        if known is None or known.state == REVOKED:
            return False
        if known.terminal or known.attempt > posting.attempt:
            return True
        return known.attempt == posting.attempt and (known.tombstone or known.state == RETRY)

    def get(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        return tuple(map(self._records.get, ids))

    def forget(self, ids: Sequence[str]) -> None:
        for key in ids:
            self._records.pop(key, None)
            self._deadlines.pop(key, None)

    def arrive(self, seat: Seat, now: float) -> Joined:
        join = self._joins.setdefault(seat.join, Join(seat.size))
        place = join.place(seat.id, seat.index)
        if not join.complete and not join.closed and (seat.failed or place not in join.values):
            if seat.failed:
                join.closed = True
            else:
                join.values[join.grow(seat.id) if place is None else place] = seat.value
            # No deadline on an open join; one that is over answers again for as long as a result lives.
            if (join.closed or join.complete) and self._options.result_expires is not None:
                self._expire_at(now + self._options.result_expires, seat.join, join=True)
        if not join.complete:
            return Joined(join=seat.join, complete=False)
        return Joined(join=seat.join, complete=True, values=tuple(join.values[i] for i in sorted(join.values)))

    def grow(self, addition: Addition) -> bool:
        """`ports.backend.GrowsJoins`."""
        join = self._joins.setdefault(addition.join, Join(addition.size))
        if join.closed or addition.member in join.added:
            return True
        if join.complete or join.place(addition.by, addition.by_index) in join.values:
            return False
        join.grow(addition.member)
        return True

    def expire(self, now: float, limit: int) -> bool:
        """Forget at most `limit` of what is over; True when more is left."""
        for _ in range(limit):
            if not self._expiries or self._expiries[0][0] > now:
                return False
            _, _, key, join = heappop(self._expiries)
            if join:
                self._joins.pop(key, None)
            elif self._deadlines.get(key, now + 1) <= now:
                self.forget((key,))
        return bool(self._expiries) and self._expiries[0][0] <= now

    def _expire_at(self, moment: float, key: str, *, join: bool) -> None:
        self._order += 1
        heappush(self._expiries, (moment, self._order, key, join))
