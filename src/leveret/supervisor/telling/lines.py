"""StatsD's lines (`name:value|kind`), and what of a node's counts has been added since the last look."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from leveret.model.telling.tally import BUCKETS, TaskTally

PACKET_BYTES = 1_432
"""What fits into an Ethernet frame with any IP header: StatsD's own advice."""
_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_TAG = re.compile(r"[^A-Za-z0-9_.:/-]")

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a line is written. Plain StatsD has labels in the name, DogStatsD behind it, as tags."""

    prefix: str = "leveret"
    tags: bool = False
    everywhere: Labels | None = None
    """Tags of every line, where there are tags."""

    def line(self, name: str, labels: Labels, value: float, kind: str, *, weight: int = 1) -> bytes:
        """`weight`: how many values the one stands for (a sample rate)."""
        rate = f"|@{1 / weight:.9g}" if weight > 1 else ""
        if not self.tags:
            parts = (self.prefix, name, *(_NAME.sub("_", label) or "_" for label in labels.values()))
            return f"{'.'.join(filter(None, parts))}:{_number(value)}|{kind}{rate}".encode()
        tags = ",".join(f"{key}:{_TAG.sub('_', label)}" for key, label in {**(self.everywhere or {}), **labels}.items())
        whole = f"{self.prefix}.{name}" if self.prefix else name
        return f"{whole}:{_number(value)}|{kind}{rate}{'|#' if tags else ''}{tags}".encode()

    def runs(self, added: Iterable[TaskTally]) -> list[bytes]:
        """Counts and timings (milliseconds) of runs. The mean of the timings is exact, and so is a single run's; of
        several it is known which bucket of the histogram (`model.telling.tally`) each was in."""
        lines = []
        for one in added:
            labels = {"task": one.task, "outcome": one.outcome}
            lines.append(self.line("tasks", labels, one.count, "c"))
            lines += [
                self.line("task_runtime", labels, seconds * 1000, "ms", weight=count) for seconds, count in timings(one)
            ]
        return lines


def since(before: Iterable[TaskTally], now: Iterable[TaskTally]) -> list[TaskTally]:
    """What was added to each. A node's counts only grow."""
    known = {(one.task, one.outcome): one for one in before}
    added = []
    for one in now:
        old = known.get((one.task, one.outcome))
        if old is not None:
            pairs = zip(one.buckets, old.buckets, strict=True)
            seconds = max(0.0, one.seconds - old.seconds)
            one = TaskTally(one.task, one.outcome, seconds, tuple(after - earlier for after, earlier in pairs))
        if one.count > 0:
            added.append(one)
    return added


def timings(tally: TaskTally) -> list[tuple[float, int]]:
    """(seconds, how many runs) for each bucket: a time within it, chosen so that all together took what they took."""
    ends = (*BUCKETS, max(tally.seconds, BUCKETS[-1]))
    filled = [
        (0.0 if index == 0 else ends[index - 1], ends[index], count)
        for index, count in enumerate(tally.buckets)
        if count > 0
    ]
    least = sum(low * count for low, _, count in filled)
    room = sum((high - low) * count for low, high, count in filled)
    # All as far up in their bucket as the sum of all says; the clamp is for what rounding adds.
    share = min(1.0, max(0.0, (tally.seconds - least) / room)) if room else 0.0
    return [(low + (high - low) * share, count) for low, high, count in filled]


def packets(lines: Sequence[bytes]) -> list[bytes]:
    """As many lines in each as fit; one that is too long goes alone."""
    made: list[bytes] = []
    for line in lines:
        if made and len(made[-1]) + 1 + len(line) <= PACKET_BYTES:
            made[-1] += b"\n" + line
        else:
            made.append(line)
    return made


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.6f}".rstrip("0").rstrip(".")
