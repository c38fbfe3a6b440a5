"""How time passes in a case. Its durations are nominal: seconds of a simulated clock, a fifth of that in real time."""

import asyncio
from typing import Protocol

from leveret.ports.clock import Clock
from leveret.testing.clock import SimClock
from leveret.wiring.clock import SystemClock


class Pace(Protocol):
    clock: Clock
    hours: bool
    """Whether minutes and days may pass in a case."""
    patience: float
    """Real seconds in which what is expected comes."""
    quiet: float
    """Real seconds without news after which nothing more comes."""
    late: float
    """Seconds by which what is due may be late."""
    margin: float
    """Seconds before a moment in which nobody looks: whoever looks may be held up himself."""
    limit: float
    """Real seconds a case may take."""

    def seconds(self, nominal: float) -> float:
        """Answer a case's duration as the driver is told it."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SimulatedTime:
    """Nothing takes time but what a case lets pass, and what happens has happened when it is answered."""

    hours = True
    patience = quiet = late = margin = 0.0
    limit = 20.0

    def __init__(self) -> None:
        self.sim = SimClock()
        self.clock: Clock = self.sim

    def seconds(self, nominal: float) -> float:
        return nominal

    async def sleep(self, seconds: float) -> None:
        self.sim.advance(seconds)


class RealTime:
    """A server has a clock of its own, and news of it travel."""

    hours = False
    patience, quiet, late, margin = 5.0, 0.2, 1.8, 0.3
    limit = 60.0

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()

    def seconds(self, nominal: float) -> float:
        """A fifth; what is far away in a case is only later than all the rest."""
        return min(nominal / 5, 6.0)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
