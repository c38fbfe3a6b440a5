"""Threads that share a line: they write in turn, and of those who wait one reads for all."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from leveret.errors import OperationalError
from leveret.links.amqp.line import Line

_LOOK = 0.05
"""How often one who waits behind a reader looks whether he may read himself: the safety net behind his bell."""


class NotSent(OperationalError):
    """The deadline came before our turn to write."""


def acquire(lock: threading.Lock, deadline: float, where: str) -> None:
    """Take a lock that others may hold for as long as their own deadlines; raises `NotSent` at ours."""
    if not lock.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
        raise NotSent(f"{where}: other threads were busy with the connection until the deadline")


@contextmanager
def turn(lock: threading.Lock, deadline: float, where: str) -> Iterator[None]:
    """Hold such a lock."""
    acquire(lock, deadline, where)
    try:
        yield
    finally:
        lock.release()


class Reading:
    """The right to read. `hear` is called with what came (b"": the end), `lose` with an error, by whoever reads."""

    def __init__(
        self, line: Line, guard: Any, hear: Callable[[bytes], None], lose: Callable[[Exception], None]
    ) -> None:
        self._line, self._hear, self._lose = line, hear, lose
        self.turn = threading.Lock()
        self.sleepers = Sleepers(guard, self.turn)
        self.over = False
        """Nothing more will come."""

    def wait(self, true: Callable[[], bool], deadline: float) -> bool:
        """Read, or let another thread read, until `true()`, the deadline or the end."""
        while not true():
            left = deadline - time.monotonic()
            if left <= 0 or self.over:
                return true()
            if self.turn.acquire(blocking=False):
                try:
                    # It may have come while the right changed hands.
                    while not true() and not self.over and (left := deadline - time.monotonic()) > 0:
                        if self._line.readable(left):
                            self._read()
                finally:
                    self._pass_on()
            else:
                self.sleepers.sleep(true, min(left, _LOOK))
        return True

    def first(self, send: Callable[[], bytes | None], deadline: float) -> bool:
        """Send, and wait for what comes back first: true where that is exactly what `send` answered, and nobody else
        reads; then nobody hears it. Whatever else comes is heard as usual, and everything where `send` answers None."""
        if not self.turn.acquire(blocking=False):
            send()
            return False
        try:
            wanted = send()
            return self._line.readable(deadline - time.monotonic()) and self._read(wanted)
        finally:
            self._pass_on()

    def look(self) -> None:
        """Read what is here, unless another thread does."""
        if self.turn.acquire(blocking=False):
            try:
                while not self.over and self._line.readable(0.0):
                    self._read()
            finally:
                self._pass_on()

    def _read(self, wanted: bytes | None = None) -> bool:
        """Whether exactly that was read, which nobody hears."""
        try:
            data = self._line.read()
        except OSError as error:
            self._lose(error)
            return False
        if data is None:
            return False
        if data == wanted:
            return True
        self._hear(data)
        return False

    def _pass_on(self) -> None:
        self.turn.release()
        self.sleepers.wake_next()


class Sleepers:
    """Threads that wait while another reads for all, each with what it waits for; in the order of their coming."""

    def __init__(self, guard: Any, reading: threading.Lock) -> None:
        self._guard, self._reading = guard, reading
        self._beds: dict[threading.Lock, Callable[[], bool]] = {}

    def sleep(self, true: Callable[[], bool], seconds: float) -> None:
        """Until `true()`, or until it is for this thread to read."""
        bell = threading.Lock()
        bell.acquire()
        with self._guard:
            if true():
                return
            self._beds[bell] = true
        # Who reads now will look at us when he has heard something, or ends. Nobody would, had he ended before.
        if self._reading.locked():
            bell.acquire(timeout=seconds)
        with self._guard:
            self._beds.pop(bell, None)

    def wake(self) -> None:
        """Those whose wait is over. `guard` is held."""
        for bell in [bell for bell, true in self._beds.items() if true()]:
            del self._beds[bell]
            bell.release()

    def wake_next(self) -> None:
        """Somebody else must read now, if anybody still waits. Call with the right to read given up."""
        if self._beds:
            with self._guard:
                for bell in self._beds:
                    del self._beds[bell]
                    bell.release()
                    return

    def wake_all(self) -> None:
        """`guard` is held."""
        for bell in self._beds:
            bell.release()
        self._beds.clear()
