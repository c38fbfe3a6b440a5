"""`python -m tests.servers.host.reaper FOLDER`: waits until nobody uses the premises any more, then clears them."""

import fcntl
import os
import signal
import sys
from pathlib import Path

from tests.servers.host.premises import LOCK, clear


def main(folder: Path) -> None:
    try:
        signal.signal(signal.SIGTERM, _leave)
        lock = os.open(folder / LOCK, os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except (FileNotFoundError, InterruptedError):
        pass
    clear(folder)


def _leave(number: int, frame: object) -> None:
    raise InterruptedError


if __name__ == "__main__":
    main(Path(sys.argv[1]))
