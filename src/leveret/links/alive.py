"""Whether a process of this machine lives, and whether it is the one meant."""

import os
from pathlib import Path

from leveret.model.node import Node


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


def beat_beside(node: Node, beat: float) -> bool:
    """Whether a node with our own process id beat after we started: two containers may both be process 1. Reaped all
    the same, the two would take each other's work away for ever."""
    return 0.0 < node.started < beat


def lives(node: Node, pid: int, beat: float) -> bool:
    """Whether a namesake of the node on its machine is still there, by its process id and when it last beat."""
    return beat_beside(node, beat) if pid == node.pid else is_alive(pid)


def _is_zombie(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[:1] == ["Z"]
