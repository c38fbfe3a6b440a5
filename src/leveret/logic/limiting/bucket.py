"""A rate that one process keeps by itself, where no store keeps limits for the node."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Evenly paced starts, as Celery's bucket of one token. Seconds on the monotonic clock."""

    interval: float
    next_start: float = 0.0
    """When the next run may start."""
    told: float = 0.0
    """The last moment that somebody who waits was told: the next one is told a later one."""

    def take(self, now: float) -> float:
        """0: it starts now; else in how many seconds it is to come again. Whoever comes first then is taken: nobody's
        place is remembered, since another process may get the message."""
        if self.next_start <= now:
            # Whoever comes a little late does not slow down the pace.
            self.next_start = max(self.next_start, now - self.interval / 2) + self.interval
            return 0.0
        self.told = max(self.told + self.interval, self.next_start)
        return self.told - now
