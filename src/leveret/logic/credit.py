"""How many messages a slot may hold: one at first, as many as it runs in 25 ms at most (docs/adr/0006).

A slot that holds more than it can begin at once keeps work from idle slots elsewhere, so the bound is time, not
number; and what it holds stays retractable (`RETRACT_SECONDS`).
"""

from collections import deque
from collections.abc import Collection, Iterable

MOST = 200
BATCH_SECONDS = 0.025
"""A batch that took less doubles the credit; a slot never holds more than it runs in this time."""
RETRACT_SECONDS = 0.050
"""A job that has run for longer sends everything unstarted behind it back to the broker."""
_RECENT = 128
_START = 1


class Credit:
    """One lane's credit per slot. Owned by the I/O thread."""

    def __init__(self, multiplier: int | None = None) -> None:
        """`multiplier` is `worker_prefetch_multiplier`; 0 is Celery's word for "as many as you like"."""
        if multiplier is not None and multiplier < 0:
            raise ValueError(f"worker_prefetch_multiplier is a number from 0 up, not {multiplier}")
        self._fixed = None if multiplier is None else multiplier or MOST
        self._amount = _START
        self._timed: set[str] = set()
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._spent, self._round = 0.0, 0

    @property
    def per_slot(self) -> int:
        return self._amount if self._fixed is None else self._fixed

    def begin(self, names: Iterable[str]) -> None:
        """A batch of these tasks was claimed; one that was never timed here starts the credit over."""
        if not self._timed.issuperset(names):
            self._amount = _START

    def let_in(self, names: Collection[str]) -> None:
        """Of a batch of limited tasks these begin. Where none does, as many more may be claimed: what waits in the
        broker holds no slot, and asking one by one would take all day."""
        if names:
            self.begin(names)
        else:
            self._amount = min(2 * self._amount, MOST)

    def ran(self, name: str, seconds: float) -> None:
        """One run ended."""
        self._timed.add(name)
        self._recent.append(seconds)
        self._spent += seconds
        self._round += 1

    def end_round(self, slots: int, *, all_ended: bool) -> None:
        """Some runs have ended: a batch of each slot, or all there were?"""
        if self._round and (all_ended or self._round >= slots * self.per_slot):
            # The sum of the run times, since the wall clock also measures our siblings.
            self.end(self._spent / min(slots, self._round))
            self._spent, self._round = 0.0, 0

    def end(self, seconds: float) -> None:
        """The batch has ended, `seconds` after it began."""
        wanted = self._amount * 2 if seconds < BATCH_SECONDS else self._amount
        self._amount = max(_START, min(wanted, self.ceiling()))

    def rest(self) -> None:
        """An idle spell: nobody knows what comes next."""
        self._amount = _START

    def ceiling(self) -> int:
        """What the recent p95 run time allows in `BATCH_SECONDS`, from 1 to `MOST`."""
        if not self._recent:
            return _START
        longest = sorted(self._recent)[int(0.95 * (len(self._recent) - 1))]
        # Rounded, not cut: a p95 a little over the even number must not cost a task a batch.
        return MOST if longest * MOST <= BATCH_SECONDS else max(_START, round(BATCH_SECONDS / longest))
