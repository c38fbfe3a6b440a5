"""What a caller who waits is told: silence for five seconds is explained once."""

from typing import TYPE_CHECKING

from msgspec import Struct

from leveret.ports.clock import Clock

if TYPE_CHECKING:
    from leveret.model.insight.call import Before, Explanation, Stored

PATIENCE_SECONDS = 5.0
_LONGEST_WAIT = 60.0


class Awaited(Struct, frozen=True):
    """What a handle knows itself of the call it stands for."""

    id: str
    task: str | None
    queue: str | None
    stored: "Stored | None" = None
    """Where it has seen its end, or only the sender is told of results."""
    before: "Before | None" = None
    """What has to end before it is sent."""
    ignored: bool = False
    thorough: bool = False
    """Somebody asks why: whatever waits may be looked through, and nodes asked. A silent wait does not."""


def still_waiting(id: str, state: str, found: "Explanation | None") -> str:
    """Say in one line what the result waits for."""
    return f"still waiting for the result of {id} ({state}): {found or 'nothing more is known of it'}"


class Patience:
    """How long one wait may last, and when its silence must be explained. Owned by the waiting call."""

    def __init__(self, clock: Clock, timeout: float | None) -> None:
        self._now = clock.monotonic
        started = self._now()
        self._deadline = None if timeout is None else started + timeout
        self._explain_at: float | None = started + PATIENCE_SECONDS

    def next_wait(self, interval: float | None) -> float:
        """Seconds the store may be waited for before something else is due."""
        now = self._now()
        ends = [moment - now for moment in (self._deadline, self._explain_at) if moment is not None]
        return max(0.0, min([*ends, _LONGEST_WAIT if interval is None else interval]))

    def exhausted(self) -> bool:
        return self._deadline is not None and self._now() >= self._deadline

    def explanation_due(self) -> bool:
        """True once."""
        if self._explain_at is None or self._now() < self._explain_at:
            return False
        self._explain_at = None
        return True
