"""Which processes there are, who started whom, and how a tree of them is ended."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A living process. `birth` tells it from a later one with the same number."""

    pid: int
    parent: int
    birth: str


def living() -> dict[int, Process]:
    """List all processes; what ended but was not waited for (a zombie) does not count."""
    found = _from_proc() if sys.platform == "linux" else _from_ps()
    return {process.pid: process for process in found}


def _from_proc() -> list[Process]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # The name, in parentheses, may itself hold spaces and parentheses.
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] not in "ZX":
                found.append(Process(int(entry.name), int(fields[1]), fields[19]))
    return found


def _from_ps() -> list[Process]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat=,lstart="], capture_output=True, text=True, check=True)
    rows = (line.split(None, 3) for line in listing.stdout.splitlines())
    return [Process(int(pid), int(parent), birth) for pid, parent, state, birth in rows if state[0] != "Z"]


def tree(root: int, processes: dict[int, Process]) -> list[int]:
    """List the process and everything below it, parents first."""
    found = [root] if root in processes else []
    for pid in found:
        found += [child.pid for child in processes.values() if child.parent == pid]
    return found


def lives(process: Process, now: dict[int, Process]) -> bool:
    """Whether it is still there, perhaps under another parent."""
    return process.pid in now and now[process.pid].birth == process.birth


def kill_tree(root: int, timeout: float = 10.0) -> None:
    """Kill the process and everything it started; return when all of it is gone."""
    processes = living()
    doomed = [processes[pid] for pid in tree(root, processes)]
    for process in doomed:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + timeout
    while remaining := [process for now in [living()] for process in doomed if lives(process, now)]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"killed {timeout} s ago, still there: {remaining}")
        time.sleep(0.005)
