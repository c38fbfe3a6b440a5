"""The file as one process sees it: a connection for durable postings, one for claims and settlements, one for reads.

Publishes commit with `synchronous=FULL`; claims and settlements with NORMAL: a power cut repeats work, never loses it.
"""

import asyncio
import os
import sqlite3
import time
import weakref
from collections.abc import Callable
from typing import TypeVar

from leveret.errors import StoreBusy
from leveret.links.sql import idle
from leveret.links.sql.bell import Bell, Ringer
from leveret.links.sql.connection import Connection, explain
from leveret.links.sql.location import locate, prepare

T = TypeVar("T")
Work = Callable[[Connection], T]

SPIN_SECONDS = 0.003
"""How long an inline write waits for its turn on the loop's thread before it lets the loop go on."""
LOOP_POLL_SECONDS = 0.002


class Database:
    """Made once per driver; survives fork: a child opens connections of its own."""

    def __init__(self, url: str, timeout: float) -> None:
        self.path = locate(url)
        self.wal_path = self.path.with_name(self.path.name + "-wal")
        self.timeout = timeout
        self.durable = Connection(self.path, "FULL")
        self.working = Connection(self.path, "NORMAL")
        self.reading = Connection(self.path, "NORMAL")
        self.ringer = Ringer()
        self.bell: Bell | None = None
        self.pid = 0
        self._inherited: list[object] = []
        _close_before_fork(self)

    # Blocking

    def write(self, work: Work[T], *, deadline: float | None = None, durable: bool = False) -> T:
        """Run `work` in one write transaction on the calling thread, begun before the deadline (monotonic clock)."""
        if deadline is None:
            deadline = time.monotonic() + self.timeout
        connection = self._connection(durable)
        lock = connection.lock
        if not lock.acquire(blocking=False) and not lock.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            raise StoreBusy(f"{self.path}: another thread of this process wrote until the deadline")
        try:
            connection.begin(deadline)
            return self._finish(connection, work)
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        finally:
            lock.release()

    def read(self, work: Work[T]) -> T:
        """Run `work` outside of any transaction; each of its statements sees the newest commit."""
        self.own()
        with self.reading.lock:
            try:
                return work(self.reading)
            except sqlite3.Error as error:
                raise explain(error, self.path) from error

    # On the loop's own thread: a hop to a thread costs 165-370 us (evidence A1), a statement 20-50

    async def perform(self, work: Work[T], *, durable: bool = False) -> T:
        """As `write`, inline; while another writer has its turn the loop goes on."""
        deadline = time.monotonic() + self.timeout
        connection = self._connection(durable)
        try:
            while True:
                with connection.lock:
                    if connection.attempt(min(time.monotonic() + SPIN_SECONDS, deadline)):
                        return self._finish(connection, work)
                if time.monotonic() >= deadline:
                    raise StoreBusy(f"{self.path} stayed locked by another writer for {self.timeout:g} s")
                await asyncio.sleep(LOOP_POLL_SECONDS)
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        finally:
            connection.leave_line()

    def peek(self, work: Work[T]) -> T:
        """As `read`, on the working connection."""
        self.own()
        with self.working.lock:
            try:
                return work(self.working)
            except sqlite3.Error as error:
                raise explain(error, self.path) from error

    # Bells

    def reply_bell(self) -> Bell:
        """Where this process hears of its results; bound when first asked for, anew after a fork."""
        if self.bell is None or self.bell.pid != os.getpid():
            if self.bell is not None:
                self.bell.close()
            self.bell = Bell()
        return self.bell

    @property
    def has_reply_bell(self) -> bool:
        return self.bell is not None and self.bell.pid == os.getpid()

    def close(self) -> None:
        for connection in self._connections:
            with connection.lock:
                connection.close()
        self.ringer.close()
        if self.bell is not None:
            self.bell.close()
            self.bell = None

    # Inside

    @property
    def _connections(self) -> tuple[Connection, ...]:
        return self.durable, self.working, self.reading

    def _connection(self, durable: bool) -> Connection:
        self.own()
        return self.durable if durable else self.working

    def _finish(self, connection: Connection, work: Work[T]) -> T:
        try:
            result = work(connection)
            if connection.added:
                idle.call(connection)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        if connection.rings:
            self.ringer.ring(connection.rings)
        return result

    def own(self) -> None:
        """Let go of what a fork that bypassed Python's hooks brought into this process."""
        pid = os.getpid()
        if self.pid == pid:
            return
        if self.pid:
            self.after_fork()
        else:
            prepare(self.path)
        self.pid = pid

    def before_fork(self) -> None:
        """A connection carried into a child lets it believe in locks it has not got; then another process's last
        close deletes the WAL under it. So nothing is open while the process forks (reopening costs 1 ms)."""
        for connection in self._connections:
            connection.lock.acquire()
            if not connection.writing:
                connection.close()

    def after_fork_in_parent(self) -> None:
        for connection in reversed(self._connections):
            connection.lock.release()

    def after_fork(self) -> None:
        self._inherited += [connection.abandon() for connection in self._connections]
        self.durable = Connection(self.path, "FULL")
        self.working = Connection(self.path, "NORMAL")
        self.reading = Connection(self.path, "NORMAL")


def _close_before_fork(database: Database) -> None:
    """Hooks cannot be taken back: they hold the database weakly."""
    if not hasattr(os, "register_at_fork"):
        return
    reference = weakref.ref(database)

    def before() -> None:
        if (living := reference()) is not None:
            living.before_fork()

    def in_parent() -> None:
        if (living := reference()) is not None:
            living.after_fork_in_parent()

    def in_child() -> None:
        if (living := reference()) is not None:
            living.after_fork()

    os.register_at_fork(before=before, after_in_parent=in_parent, after_in_child=in_child)
