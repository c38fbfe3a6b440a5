"""Counts runs by task and outcome, for whoever shows them as metrics."""

from bisect import bisect_left

from leveret.model.outcome import Finished, Outcome
from leveret.model.telling.tally import BUCKETS, TaskTally

_MOST_TASKS = 1_000
"""Kinds of tasks that are told apart; the names come from outside."""
_OTHERS = "(others)"


class Counter:
    """Owned by the I/O loop. Off it counts nothing."""

    def __init__(self, *, on: bool) -> None:
        self.on = on
        self._counts: dict[tuple[str, type[Outcome]], list[int]] = {}
        self._seconds: dict[tuple[str, type[Outcome]], float] = {}

    def ended(self, task: str, finished: Finished) -> None:
        key = (task, type(finished.outcome))
        counts = self._counts.get(key)
        if counts is None:
            if len(self._counts) >= _MOST_TASKS:
                key = (_OTHERS, key[1])
            counts = self._counts.setdefault(key, [0] * (len(BUCKETS) + 1))
            self._seconds.setdefault(key, 0.0)
        counts[bisect_left(BUCKETS, finished.runtime)] += 1
        self._seconds[key] += finished.runtime

    def total(self) -> tuple[TaskTally, ...]:
        return tuple(
            TaskTally(task, kind.__name__.lower(), self._seconds[task, kind], tuple(counts))
            for (task, kind), counts in self._counts.items()
        )
