"""What a caller who waits is told: silence for five seconds is explained once."""

from msgspec import Struct

from leveret.ports.clock import Clock

PATIENCE_SECONDS = 5.0
_LONGEST_WAIT = 60.0


class Awaited(Struct, frozen=True):
    """What a handle knows itself of the call it stands for."""

    id: str
    task: str | None
    queue: str | None


class WaitFacts(Struct, frozen=True, kw_only=True):
    """What broker, store and nodes know of one awaited task. None: not known."""

    address: str = ""
    queue: str | None = None
    ahead: int | None = None
    """Ready messages in that queue."""
    consumers: tuple[str, ...] | None = None
    """Nodes alive that consume the queue."""
    unknown: str | None = None
    """The task's name, where nodes consume the queue and none of them has that task."""
    running_on: str | None = None
    next_try: float | None = None
    """Seconds until a retry or an ETA."""
    dead: str | None = None
    """Why its message is a dead letter."""


def explain(id: str, state: str, facts: WaitFacts | None) -> str:
    """Say in one line what the result waits for."""
    return f"still waiting for the result of {id} ({state}): {reason(facts)}"


def reason(facts: WaitFacts | None) -> str:
    """What a call that has no outcome waits for."""
    if facts is None:
        return "nothing more is known of it"
    if facts.running_on is not None:
        return f"it runs on {facts.running_on}"
    if facts.dead is not None:
        return f"its message is a dead letter ({facts.dead}); see `leveret dead show`"
    if facts.unknown is not None:
        return (
            f"no worker that consumes queue {facts.queue!r} of {facts.address} has a task {facts.unknown!r}; its "
            "message is parked until one has, for 15 minutes at most"
        )
    if facts.next_try is not None and facts.next_try > 0:
        return f"its next try is in {facts.next_try:.0f} s"
    queue = f"queue {facts.queue!r} of {facts.address}" if facts.queue else facts.address or "its broker"
    if facts.consumers is not None and not facts.consumers:
        return f"no worker consumes {queue}"
    if facts.ahead:
        return f"{facts.ahead} messages wait in {queue}"
    if facts.ahead == 0:
        return f"nothing waits in {queue} any more: is its result ignored by the task, forgotten, or another's?"
    return f"it is in {queue}"


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
