"""How many slots a node should have: more while messages wait too long and nobody is idle, fewer after a quiet time.

The time that a message has waited is what its sender feels, so that is what counts, and not how many wait: a thousand
tasks of a microsecond are no reason for another process.
"""

from dataclasses import dataclass

from msgspec import Struct

from leveret.errors import ImproperlyConfigured

LATENCY_SECONDS = 1.0
"""A message that has waited for longer is one too many. Where the broker does not say how long, two looks count."""
QUIET_SECONDS = 30.0
"""Slots are given up that were not needed at any time for so long (Celery's AUTOSCALE_KEEPALIVE)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Slots of a node, both included."""

    most: int
    least: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ImproperlyConfigured(
                f"--autoscale {self.most},{self.least}: it is MAX,MIN, and MIN is 1 at least and not above MAX"
            )


class Load(Struct, frozen=True, kw_only=True):
    """One look at a node and its queues."""

    slots: int
    busy: int
    """Slots that run something."""
    waiting: int
    """Messages that could run now and that nobody has claimed."""
    waited: float | None = None
    """Seconds that the oldest of them has waited; None: the broker does not say."""


class Past(Struct, frozen=True, kw_only=True):
    """What earlier looks leave for the next: `needed` are (when, slots that were busy) of the last `QUIET_SECONDS`."""

    needed: tuple[tuple[float, int], ...] = ()
    waited_before: bool = False
    since: float | None = None
    """When the first look was, or the last change: fewer slots are no matter before `QUIET_SECONDS` after it."""


def scale(past: Past, load: Load, limits: Limits, now: float) -> tuple[Past, int]:
    """Answer how many slots there should be, and what to remember. `now` is monotonic."""
    waits = load.waiting > 0
    late = waits and (past.waited_before if load.waited is None else load.waited >= LATENCY_SECONDS)
    needed = load.slots if waits else load.busy
    kept = tuple((when, count) for when, count in past.needed if now - when < QUIET_SECONDS)
    since = now if past.since is None else past.since
    target = min(max(load.slots, limits.least), limits.most)
    if target == load.slots and late and 2 * load.busy >= load.slots:
        # Doubling: a burst is met within a few looks, whatever its size.
        target = min(limits.most, load.slots + min(load.slots, load.waiting))
    elif target == load.slots and now - since >= QUIET_SECONDS:
        target = max(limits.least, min(load.slots, max([needed, *(count for _, count in kept)])))
    changed = target != load.slots
    return Past(needed=(*kept, (now, needed)), waited_before=waits, since=now if changed else since), target
