"""The real clock: the one place where time, chance and fresh ids are taken."""

import os
import random
import time

_IDS_PER_READ = 64
_VARIANT = "89ab"


class SystemClock:
    """`ports.clock.Clock` on this machine.

    `uuid.uuid4()` costs 3.2 us; slicing one read of random bytes for many ids costs 0.7. Ids grow with time
    (uuid7), because a store's index takes sorted keys much cheaper than random ones (docs/adr/0005).
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._fresh: list[str] = []

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def jitter(self) -> float:
        return random.random()

    def new_id(self) -> str:
        """A uuid7; never one that a forked sibling also has."""
        if self._pid != os.getpid():
            self._pid, self._fresh = os.getpid(), []
        try:
            return self._fresh.pop()
        except IndexError:
            self._fresh = _read_ids()
            return self._fresh.pop()


def _read_ids() -> list[str]:
    """Some uuid7 (RFC 9562 section 5.7), last first: they are popped from the end."""
    moment = f"{time.time_ns() // 1_000_000:012x}"
    text = os.urandom(8 * _IDS_PER_READ).hex()
    prefix = f"{moment[:8]}-{moment[8:]}-7"
    return [
        f"{prefix}{number:03x}-{_VARIANT[int(text[at], 16) & 3]}{text[at + 1 : at + 4]}-{text[at + 4 : at + 16]}"
        for number, at in zip(range(_IDS_PER_READ - 1, -1, -1), range(0, len(text), 16), strict=True)
    ]
