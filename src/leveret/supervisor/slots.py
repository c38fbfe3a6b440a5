"""The slot page: one file-backed shared page per worker process, one record per slot.

The law: a record is written only by the thread that runs the slot, set immediately before user code and cleared
immediately after. Its sequence is odd while the fields change, so whoever reads a process that died half-way through
sees a torn record and says "unknown" instead of naming somebody. The page is evidence, never authority: no payload is
in it, and nothing is settled from it.

    header   magic, slots | pid | beat counter | unsettled since (unix time, 0: nothing) | hold | started
    record   sequence | CRC-32 and length of the fields | fields: attempt, started, deadline, lengths, id, receipt

A sequence of 4n is an empty slot, 4n+1 is being set, 4n+2 is running. 4n+3 is running a batch: its calls are written in
a file beside the page, before the sequence says so.
"""

import mmap
import os
import shutil
import struct
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from msgspec import Struct

from leveret.errors import CallerError
from leveret.model.delivery import Receipt
from leveret.model.node import Running
from leveret.ports.executor import BatchJob, Job
from leveret.supervisor.deaths.batches import beside, read_batch, write_batch

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: what a killed node leaves in the temporary folder stays there
    fcntl = None

_PREFIX: Final = "leveret-"
_SETTLED_SECONDS: Final = 5.0
"""A folder younger than this may be between its making and its lock."""

MAGIC: Final = 0x4C56_5254
HEADER_BYTES: Final = 64
RECORD_BYTES: Final = 320
"""Room for an id and a receipt of 140 bytes each; a longer pair leaves the slot torn: its run is then "unknown"."""

# Words (8 bytes each) of the header, and of a record counted from its own start.
_MAGIC, _PID, _BEAT, _UNSETTLED, _HOLD = range(5)
_SEQUENCE, _CHECK = range(2)
_FIELDS: Final = struct.Struct("<IddHH")
_FIELDS_AT: Final = 16
_ROOM: Final = RECORD_BYTES - _FIELDS_AT
_WORDS: Final = RECORD_BYTES // 8


class PageUnreadable(CallerError):
    """The file is no slot page (an empty path, another version, cut short)."""


class PageView(Struct, frozen=True, kw_only=True):
    """What a page says at one moment. `torn` counts the records that cannot be read."""

    pid: int
    beats: int
    unsettled_since: float
    hold: bool
    slots: int
    running: tuple[Running, ...] = ()
    torn: int = 0


class RunFolder:
    """The node's private folder: in shared memory where there is some, so that no page is ever written to a disk.

    Its owner holds a lock on it, so that a later node can tell what a killed one left, across pid namespaces too.
    """

    def __init__(self, parent: Path | None = None) -> None:
        shared = Path("/dev/shm")
        parent = parent or (shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir()))
        _sweep(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock = open(self.path / "lock", "wb")  # noqa: SIM115 - held as long as the folder
        if fcntl is not None:
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Remove it; pages that are still mapped live on."""
        self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove folders whose owner is gone."""
    if fcntl is None:
        return
    for folder in parent.glob(f"{_PREFIX}*"):
        # One without a lock yet is being made; one of somebody else cannot be opened.
        with suppress(OSError), open(folder / "lock", "rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock.fileno()).st_mtime < time.time() - _SETTLED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def make_page(path: Path, slots: int) -> None:
    """Create an empty page for `slots` slots."""
    with open(path, "xb") as file:
        file.write(struct.pack("<Q", MAGIC << 32 | slots))
        file.truncate(HEADER_BYTES + slots * RECORD_BYTES)


def remove_page(path: str, slots: int) -> None:
    """With what lies beside it."""
    for name in (path, *(beside(path, slot) for slot in range(slots))):
        with suppress(OSError):
            os.unlink(name)


class _Page:
    """The mapped file. `_words` and `_reals` are two views of the same bytes: item stores are single 8-byte moves."""

    def __init__(self, path: str | Path) -> None:
        self._path = path
        with open(path, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if size < HEADER_BYTES:
                raise PageUnreadable(f"{path} is no slot page: {size} bytes")
            self._map = mmap.mmap(file.fileno(), size)
        whole = memoryview(self._map)
        self._bytes = whole
        self._words = whole.cast("Q")
        self._reals = whole.cast("d")
        self.slots = self._words[_MAGIC] & 0xFFFF_FFFF
        if self._words[_MAGIC] >> 32 != MAGIC or size < HEADER_BYTES + self.slots * RECORD_BYTES:
            raise PageUnreadable(f"{path} is no slot page of this version")

    def close(self) -> None:
        for view in (self._words, self._reals, self._bytes):
            view.release()
        self._map.close()


class SlotWriter(_Page):
    """The child's side; implements `ports.slots.SlotPage`. `begin` and `end` of a slot belong to the thread that runs
    it, `beat` to the I/O thread.

    `time_limit` is the worker's own default, for tasks and messages that name none.
    """

    def __init__(self, path: str | Path, *, time_limit: float | None = None) -> None:
        super().__init__(path)
        self._time_limit = time_limit
        self._words[_PID] = os.getpid()

    def begin(self, slot: int, job: Job, now: float) -> None:
        """Say what this slot runs from now on; costs about 1 us."""
        words, word = self._words, 8 + slot * _WORDS
        sequence = words[word] & ~3
        words[word] = sequence + 1
        message = job.message
        limit = message.time_limit or job.definition.time_limit or self._time_limit
        running = 2
        if type(job) is BatchJob:
            write_batch(beside(self._path, slot), self._of_batch(job, now))
            running = 3
        task, receipt = message.id.encode(), job.receipt.encode()
        fields = (
            _FIELDS.pack(message.attempt, now, now + limit if limit else 0.0, len(task), len(receipt)) + task + receipt
        )
        size = len(fields)
        if size > _ROOM:
            return
        at = word * 8 + _FIELDS_AT
        self._map[at : at + size] = fields
        words[word + 1] = crc32(fields) << 32 | size
        words[word] = sequence + running

    def _of_batch(self, job: BatchJob, now: float) -> list[Running]:
        found = []
        for one in job.jobs:
            limit = one.message.time_limit or one.definition.time_limit or self._time_limit
            found.append(
                Running(
                    id=one.message.id,
                    receipt=one.receipt,
                    attempt=one.message.attempt,
                    started=now,
                    deadline=now + limit if limit else None,
                )
            )
        return found

    def end(self, slot: int) -> None:
        """Say that this slot runs nothing."""
        word = 8 + slot * _WORDS
        self._words[word] = (self._words[word] & ~3) + 4

    def beat(self, unsettled_since: float) -> None:
        self._reals[_UNSETTLED] = unsettled_since
        self._words[_BEAT] += 1

    @property
    def hold(self) -> bool:
        return self._words[_HOLD] != 0


class SlotReader(_Page):
    """The supervisor's side: looks, and sets `hold`."""

    def view(self) -> PageView:
        """Read everything; a record that a live writer is changing right now counts as torn too, so look twice."""
        running: list[Running] = []
        torn = 0
        for slot in range(self.slots):
            sequence = self._words[8 + slot * _WORDS] & 3
            if sequence == 0:
                continue
            record = self._record(slot) if sequence != 1 else None
            batch = read_batch(beside(self._path, slot), record) if record is not None and sequence == 3 else ()
            if record is None or batch is None:
                torn += 1
            else:
                running += batch or (record,)
        return PageView(
            pid=self._words[_PID],
            beats=self._words[_BEAT],
            unsettled_since=self._reals[_UNSETTLED],
            hold=self._words[_HOLD] != 0,
            slots=self.slots,
            running=tuple(running),
            torn=torn,
        )

    def set_hold(self, hold: bool) -> None:
        self._words[_HOLD] = int(hold)

    def _record(self, slot: int) -> Running | None:
        word = 8 + slot * _WORDS
        before, check = self._words[word + _SEQUENCE], self._words[word + _CHECK]
        size = check & 0xFFFF_FFFF
        if not _FIELDS.size <= size <= _ROOM:
            return None
        at = word * 8 + _FIELDS_AT
        fields = self._map[at : at + size]
        if crc32(fields) != check >> 32 or self._words[word + _SEQUENCE] != before:
            return None
        attempt, started, deadline, id_size, receipt_size = _FIELDS.unpack_from(fields)
        if _FIELDS.size + id_size + receipt_size != size:
            return None
        task = fields[_FIELDS.size : _FIELDS.size + id_size].decode(errors="replace")
        receipt = fields[_FIELDS.size + id_size :].decode(errors="replace")
        return Running(id=task, receipt=Receipt(receipt), attempt=attempt, started=started, deadline=deadline or None)
