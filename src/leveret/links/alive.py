"""Whether a process of this machine lives."""

import os
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether a process of that number lives on this machine. A number given away again reads as alive: the lease
    then decides."""
    if pid <= 0:
        return False
    if os.name == "nt":  # os.kill would end it: leave it to the lease
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[:1] == ["Z"]
