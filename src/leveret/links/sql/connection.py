"""One SQLite connection with its place in the writers' queue.

Law: every write transaction of every process is made under an `flock` on the file beside the database. SQLite's own
busy handler has a p99 of 20 ms with ten writers, this has 3 (evidence B16); it stays behind it for foreign writers.
Law: nothing waits for a lock without a bound. A process stopped inside a transaction must not stop those that
have to notice it.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from leveret.errors import ImproperlyConfigured, OperationalError, StoreBusy
from leveret.links.sql import room
from leveret.links.sql.dialects import SQLITE, statements
from leveret.links.sql.resends import Resends
from leveret.links.sql.schema import migrate

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows: SQLite's busy handler alone queues the writers
    fcntl = None
AT_ONCE = 0 if fcntl is None else fcntl.LOCK_EX | fcntl.LOCK_NB

BUSY_MILLISECONDS = 20
"""How long one attempt to begin waits for a writer that does not know the flock."""
POLL_SECONDS = 0.0001
POLL_MOST_SECONDS = 0.0005
CHECKPOINT = {"FULL": 1000, "NORMAL": 8000}
"""Pages in the WAL at which a commit moves them into the file. A WAL that is written over and no longer grows halves
the price of an fsync: so durable commits come to that point early."""
FIRST_LOOK = 16
"""Durable commits before the log is first looked at for room: a program that sends one message needs none."""
CHECKPOINT_FRAMES = 2000
CHECKPOINT_COMMITS, LEAST_ROWS, MOST_ROWS = 500, 1000, 20_000
"""When the working connection checkpoints by itself, before SQLite would: after commits, or after changed rows."""
PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}",
    "PRAGMA cache_size = -8000",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
)


class Connection:
    """Used by one thread at a time: `lock` guards everything here. Opened when first used."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self.path = path
        self.lock = threading.RLock()
        self.rings: set[str] = set()
        """Addresses to ring after the commit."""
        self.added: dict[int, int] = {}
        """Messages of this transaction that may be claimed now, by queue."""
        self.resends = Resends()
        self._synchronous = synchronous
        self._sql = statements(SQLITE)
        self._raw: sqlite3.Connection | None = None
        self.cursor: sqlite3.Cursor | None = None
        """For one statement after another (`alone`): a cursor for each costs 0.2 us."""
        self.turn = self.line = -1
        """The descriptors that are locked to take a turn."""
        self.writing = self._in_line = False
        self._commits = 0
        self._changes = 0
        self._pace = LEAST_ROWS * 2
        self.queues: dict[str, int] = {}
        """The numbers of the queues met so far."""
        self.more_to_do = False
        """Whether the next publish has probably more to do than to write its row (`alone`)."""
        self.until_look = 0
        """Durable commits until the next look whether the log needs room (`room`)."""
        self._log = -1
        self._names: dict[int, str] = {}

    # Statements

    def execute(self, name: str, parameters: tuple[Any, ...] | dict[str, Any] = ()) -> sqlite3.Cursor:
        return (self._raw or self._open()).execute(self._sql[name], parameters)

    def executemany(self, name: str, rows: Iterable[Any]) -> int:
        """Run a statement for each row; answers how many rows of the database changed."""
        return (self._raw or self._open()).executemany(self._sql[name], rows).rowcount

    def pragma(self, text: str) -> Any:
        row = self._open().execute(f"PRAGMA {text}").fetchone()
        return row[0] if row else None

    def changes(self) -> int:
        """A number that differs when another connection has committed since the last call."""
        return int(self.pragma("data_version"))

    def queue(self, name: str) -> int:
        """Answer the number of a queue, giving it one inside the running transaction when it is new."""
        number = self.known_queue(name)
        if number is None:
            self.execute("add_queue", (name,))
            number = self.known_queue(name)
            assert number is not None
        return number

    def known_queue(self, name: str) -> int | None:
        number = self.queues.get(name)
        if number is None:
            row = self.execute("find_queue", (name,)).fetchone()
            if row is None:
                return None
            number = self.queues[name] = int(row[0])
        return number

    def queue_name(self, number: int) -> str:
        name = self._names.get(number)
        if name is None:
            name = self._names[number] = str(self.execute("name_queue", (number,)).fetchone()[0])
        return name

    # Transactions

    def try_begin(self) -> bool:
        """Take the turn and the write lock; False when another writer has one of them."""
        raw = self._raw or self._open()
        if not self._take_turn():
            return False
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            self._end_turn()
            if is_busy(error):
                return False
            raise
        except BaseException:
            self._end_turn()
            raise
        self.writing = True
        if self.rings:
            self.rings.clear()
        if self.added:
            self.added.clear()
        return True

    def attempt(self, until: float) -> bool:
        """Try to begin a write transaction until then (on the monotonic clock). Who gives up must `leave_line`."""
        if self.try_begin():
            return True
        pause = POLL_SECONDS
        while time.monotonic() < until:
            time.sleep(pause)
            if self.try_begin():
                return True
            pause = min(pause * 1.3, POLL_MOST_SECONDS)
        return False

    def begin(self, deadline: float) -> None:
        """Begin a write transaction before `deadline` (on the monotonic clock), or raise StoreBusy."""
        if not self.attempt(deadline):
            self.leave_line()
            raise StoreBusy(f"{self.path} stayed locked by another writer until the deadline")

    def leave_line(self) -> None:
        """Give up being the next to write."""
        if self._in_line and fcntl is not None:
            fcntl.flock(self.line, fcntl.LOCK_UN)
        self._in_line = False

    def commit(self) -> None:
        raw = self._raw or self._open()
        if self._log >= 0:
            self.until_look -= 1
            if self.until_look <= 0:
                self.until_look = room.look(self._log)
        raw.execute("COMMIT")
        self.writing = False
        self._end_turn()
        self._commits += 1
        if self._synchronous == "NORMAL" and (
            self._commits >= CHECKPOINT_COMMITS or raw.total_changes - self._changes >= self._pace
        ):
            self._checkpoint(raw)

    def _checkpoint(self, raw: sqlite3.Connection) -> None:
        """Move the WAL into the file: here, out of turn, because it takes 5-30 ms and COMMIT would let all others wait.
        How many changed rows make a good checkpoint is learnt from the size of the last one."""
        _, frames, _ = raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if frames < CHECKPOINT_FRAMES * 3 // 4:
            self._pace = min(self._pace * 5 // 4, MOST_ROWS)
        elif frames > CHECKPOINT_FRAMES * 5 // 4:
            self._pace = max(self._pace * 3 // 4, LEAST_ROWS)
        self._commits, self._changes = 0, raw.total_changes

    def rollback(self) -> None:
        self.queues.clear()
        self._names.clear()
        try:
            if self._raw is not None and self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
        finally:
            self.writing = False
            self._end_turn()

    def exclusively(self, text: str) -> bool:
        """Run a pragma that writes by itself, outside of a transaction; False when it is another's turn.

        As a script: `execute` would stop an incremental vacuum after its first page."""
        raw = self._open()
        if not self._take_turn():
            self.leave_line()
            return False
        try:
            raw.executescript(f"PRAGMA {text};")
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            return False
        finally:
            self._end_turn()
        return True

    # Opening and closing

    def close(self) -> None:
        raw = self._raw
        descriptors = [descriptor for descriptor in (self.turn, self.line, self._log) if descriptor >= 0]
        self.abandon()
        if raw is not None:
            raw.close()
        for descriptor in descriptors:
            os.close(descriptor)

    def abandon(self) -> object:
        """Let go without closing; answers what must be kept from the garbage collector."""
        kept = self._raw, self.cursor
        self._raw = self.cursor = None
        self.turn = self.line = self._log = -1
        self.writing = self._in_line = False
        self.queues.clear()
        self._names.clear()
        return kept

    def _open(self) -> sqlite3.Connection:
        if self._raw is None:
            self._connect()
            assert self._raw is not None
        return self._raw

    def _connect(self) -> None:
        require_version()
        raw = sqlite3.connect(
            self.path, timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            if fcntl is not None:
                self.turn = os.open(f"{self.path}-turn", os.O_RDWR | os.O_CREAT, 0o600)
                self.line = os.open(f"{self.path}-line", os.O_RDWR | os.O_CREAT, 0o600)
            migrate(raw, self.path, self._take_turn, self._end_turn)
            checkpoint = CHECKPOINT[self._synchronous]
            own = (f"PRAGMA synchronous = {self._synchronous}", f"PRAGMA wal_autocheckpoint = {checkpoint}")
            for text in (*PRAGMAS, *own):
                raw.execute(text)
        except BaseException:
            self._raw = raw
            self.close()
            raise
        self._raw = raw
        self.cursor = raw.cursor()
        if self._synchronous == "FULL" and hasattr(os, "pwrite"):
            with suppress(FileNotFoundError):
                self._log = os.open(f"{self.path}-wal", os.O_RDWR)
            self.until_look = FIRST_LOOK
        self._commits = self._changes = 0

    def _take_turn(self) -> bool:
        """Become the next in line, then the one whose turn it is. Without the line a process that writes without
        pause would take turn after turn, and a claim beside it wait 70 ms (p50)."""
        if fcntl is None:
            return True
        try:
            if not self._in_line:
                fcntl.flock(self.line, AT_ONCE)
                self._in_line = True
            fcntl.flock(self.turn, AT_ONCE)
        except OSError:
            return False
        fcntl.flock(self.line, fcntl.LOCK_UN)
        self._in_line = False
        return True

    def _end_turn(self) -> None:
        if fcntl is not None and self.turn >= 0:
            fcntl.flock(self.turn, fcntl.LOCK_UN)


def require_version() -> None:
    if sqlite3.sqlite_version_info < SQLITE.minimum:
        needed = ".".join(map(str, SQLITE.minimum))
        raise ImproperlyConfigured(
            f"SQLite {sqlite3.sqlite_version} is too old: {needed} or newer is needed. "
            "It comes with Python: use a newer Python build, or another broker"
        )


def is_busy(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def explain(error: sqlite3.Error, path: Path) -> Exception:
    """Answer our error for one of SQLite's."""
    if is_busy(error):
        return StoreBusy(f"{path} is locked by another program")
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return OperationalError(
            f"{path} is damaged or no database ({error}). Move it away to start with an empty queue; "
            "`sqlite3 FILE .recover` can save what it holds"
        )
    return OperationalError(f"{path}: {error}")
