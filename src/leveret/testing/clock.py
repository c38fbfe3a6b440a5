"""Time that moves only when told, and chance from a seed."""

import random
import uuid


class SimClock:
    """`ports.clock.Clock`. `elapsed` is the monotonic time in seconds; unix time is `start` later."""

    def __init__(self, start: float = 1_700_000_000.0, dice: random.Random | None = None) -> None:
        self.start = start
        self.elapsed = 0.0
        self._dice = dice or random.Random(0)

    def now(self) -> float:
        return self.start + self.elapsed

    def monotonic(self) -> float:
        return self.elapsed

    def jitter(self) -> float:
        return self._dice.random()

    def new_id(self) -> str:
        return str(uuid.UUID(int=self._dice.getrandbits(128), version=4))

    def new_ids(self, count: int) -> list[str]:
        return [self.new_id() for _ in range(count)]

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}")
        self.elapsed += seconds
