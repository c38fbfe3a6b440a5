"""When a message of a paused task is looked at again. Pure.

Nobody moves what waits when a task is resumed: each message comes back by itself. So that many of them do not cost a
core, a process has no more than `PER_SECOND` of them come back a second, and those together at whole seconds: a claim
of one costs nearly what a claim of 200 does (100,000 on Redis, two processes: 5 % of a core instead of 52). 10 paused
tasks come back every second or so, 100,000 on two processes every 100 seconds. After `resume` they go on coming at
that pace at once.
"""

import math

LEAST_SECONDS = 0.5
PER_SECOND = 500.0
MOST_SECONDS = 600.0


class Line:
    """Of one task, in one process."""

    def __init__(self) -> None:
        self._last = 0.0

    def delay(self, now: float) -> float:
        """Of one more message, in seconds."""
        self._last = min(max(now + LEAST_SECONDS, self._last + 1.0 / PER_SECOND), now + MOST_SECONDS)
        return math.ceil(self._last) - now
