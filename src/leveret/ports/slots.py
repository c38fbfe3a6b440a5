"""The slot page as the runner and the I/O loop write it: evidence for the supervisor, never authority."""

from typing import Protocol

from leveret.ports.executor import Job


class SlotPage(Protocol):
    def begin(self, slot: int, job: Job, now: float) -> None:
        """Set immediately before user code."""
        ...

    def end(self, slot: int) -> None:
        """Cleared immediately after it returned."""
        ...

    def beat(self, unsettled_since: float) -> None:
        """The I/O loop lives; `unsettled_since` is the unix time of the oldest outcome not yet settled, else 0."""
        ...

    @property
    def hold(self) -> bool:
        """Set by the supervisor: start nothing more."""
        ...
