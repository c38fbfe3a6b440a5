"""What a caller who waits is told: silence for five seconds is explained once."""

from msgspec import Struct

PATIENCE_SECONDS = 5.0


class WaitFacts(Struct, frozen=True, kw_only=True):
    """What broker, store and nodes know of one awaited task. None: not known."""

    address: str = ""
    queue: str | None = None
    ahead: int | None = None
    """Ready messages in that queue."""
    consumers: tuple[str, ...] | None = None
    """Nodes alive that consume the queue."""
    running_on: str | None = None
    since: float | None = None
    """Seconds it has been running."""
    next_try: float | None = None
    """Seconds until a retry or an ETA."""


def explain(id: str, state: str, facts: WaitFacts | None) -> str:
    """Say in one line what the result waits for."""
    return f"still waiting for the result of {id} ({state}): {_reason(facts)}"


def _reason(facts: WaitFacts | None) -> str:
    if facts is None:
        return "nothing more is known of it"
    if facts.running_on is not None:
        return f"it runs on {facts.running_on}" + (f" since {facts.since:.0f} s" if facts.since is not None else "")
    if facts.next_try is not None and facts.next_try > 0:
        return f"its next try is in {facts.next_try:.0f} s"
    queue = f"queue {facts.queue!r} of {facts.address}" if facts.queue else facts.address or "its broker"
    if facts.consumers is not None and not facts.consumers:
        return f"no worker consumes {queue}"
    if facts.ahead is not None:
        return f"{facts.ahead} messages wait in {queue}"
    return f"it is in {queue}"
