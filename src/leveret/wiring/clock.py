"""The real clock: the one place where time, chance and fresh ids are taken."""

import os
import random
import time

_IDS_PER_READ = 64
_NUMBERS = tuple(f"{number:03x}" for number in range(_IDS_PER_READ - 1, -1, -1))
_VARIANT = "89ab"


class SystemClock:
    """`ports.clock.Clock` on this machine.

    `uuid.uuid4()` costs 3.2 us; slicing one read of random bytes for many ids costs 0.7. Ids grow with time
    (uuid7), because a store's index takes sorted keys much cheaper than random ones (docs/adr/0005).
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._fresh: list[str] = []

    # The built-in functions themselves: a frame of Python around one costs 1-2 us after a wait for the disk.
    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

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

    def new_ids(self, count: int) -> list[str]:
        """As many, in order; in a third of the time."""
        ids: list[str] = []
        while len(ids) < count:
            ids += reversed(_read_ids())
        # What was read before them would sort before them.
        self._pid, self._fresh = os.getpid(), []
        return ids[:count]


def hours_west() -> int:
    """How far this machine's zone is from UTC, as Celery's events count it: 1 east is -1 (`celery/utils/time.py`)."""
    return (time.altzone if time.localtime().tm_isdst else time.timezone) // 3600


def _read_ids() -> list[str]:
    """Some uuid7 (RFC 9562 section 5.7), last first: they are popped from the end. They share their millisecond and
    62 random bits, and differ in their number: as unique as with bits of their own, and made in a tenth of the time."""
    moment = f"{time.time_ns() // 1_000_000:012x}"
    text = os.urandom(8).hex()
    prefix = f"{moment[:8]}-{moment[8:]}-7"
    suffix = f"-{_VARIANT[int(text[0], 16) & 3]}{text[1:4]}-{text[4:]}"
    return [prefix + number + suffix for number in _NUMBERS]
