"""How much was done: what worker processes count and supervisors add up."""

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper ends of a histogram of run times, in seconds; what is longer is in none of them."""

Key: TypeAlias = tuple[str, str]
"""Task and outcome."""


class TaskTally(Struct, frozen=True, array_like=True):
    """One task with one outcome. `buckets` counts the runs of each bucket alone, the last one those above all."""

    task: str
    outcome: str
    seconds: float
    buckets: tuple[int, ...]

    @property
    def count(self) -> int:
        return sum(self.buckets)


def added(tallies: Iterable[TaskTally]) -> tuple[TaskTally, ...]:
    """One for each task and outcome."""
    sums: dict[Key, TaskTally] = {}
    for one in tallies:
        before = sums.get((one.task, one.outcome))
        if before is not None:
            pairs = zip(before.buckets, one.buckets, strict=True)
            one = TaskTally(one.task, one.outcome, before.seconds + one.seconds, tuple(a + b for a, b in pairs))
        sums[one.task, one.outcome] = one
    return tuple(sums.values())
