"""When a message of a paused task is looked at again. Pure.

Nobody moves what waits when a task is resumed: each message comes back by itself. So that many of them do not cost a
core, a process has them come back one after the other, `PER_SECOND` of them a second and none sooner than in
`LEAST_SECONDS`: 10 paused tasks come back every second, 100,000 on two processes every 100 seconds, one every
millisecond. After `resume` they go on coming at that pace at once.
"""

LEAST_SECONDS = 1.0
PER_SECOND = 500.0
MOST_SECONDS = 600.0


class Line:
    """Of one task, in one process."""

    def __init__(self) -> None:
        self._last = 0.0

    def delay(self, now: float) -> float:
        """Of one more message, in seconds."""
        self._last = min(max(now + LEAST_SECONDS, self._last + 1.0 / PER_SECOND), now + MOST_SECONDS)
        return self._last - now
