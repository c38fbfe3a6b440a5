"""Room in the write-ahead log, made before it is needed.

A durable commit that makes the file longer is waited for half as long again (290 instead of 190 us on ext4): the file
system writes down the new size as well. It does so once for many commits when zeros are written behind the log first.
SQLite does not go by the size of that file but by the salt of each frame, and what is nothing but zeros has none.

Law: only inside a write transaction, whose lock keeps every other writer from the end of the file.
"""

import os
from contextlib import suppress

STEP_BYTES = 512 * 1024
"""About 128 commits; 1 ms once."""
LEAST_FRAMES = 8
HEADER, FRAME_HEADER, SALTS = 32, 24, 8
"""Bytes (https://sqlite.org/fileformat2.html#the_write_ahead_log); the salts are the last but 8 of either header."""


def look(descriptor: int) -> int:
    """Make room where little is left; answers the number of commits until the next look."""
    with suppress(OSError):  # a full disk, for one: SQLite will say so itself
        header = os.pread(descriptor, HEADER, 0)
        if len(header) == HEADER:
            frame = FRAME_HEADER + int.from_bytes(header[8:12])
            end = os.fstat(descriptor).st_size
            frames = (end - HEADER) // frame
            left = frames - _used(descriptor, header[16:24], frame, frames)
            if left < LEAST_FRAMES:
                left += os.pwrite(descriptor, bytes(STEP_BYTES), end) // frame
            return max(LEAST_FRAMES, left) * 3 // 4
    return LEAST_FRAMES


def _used(descriptor: int, salts: bytes, frame: int, frames: int) -> int:
    """How many frames the log has now: the first ones of the file, as far as they have its salts."""
    low, high = 0, frames
    while low < high:
        middle = (low + high) // 2
        if os.pread(descriptor, SALTS, HEADER + middle * frame + SALTS) == salts:
            low = middle + 1
        else:
            high = middle
    return low
