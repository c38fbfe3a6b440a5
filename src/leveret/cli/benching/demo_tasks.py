"""The app of `leveret demo`: work worth interrupting, and a journal of every run that began."""

import hashlib
import os
import time
from pathlib import Path

from leveret.app import Leveret

JOURNAL = "LEVERET_DEMO_JOURNAL"
RUN_SECONDS = 0.02

app = Leveret("leveret.cli.benching.demo_tasks")


@app.task(bind=True)
def crunch(self: object, number: int) -> str:
    """Hash for 20 ms; write to the journal when it begins and when it has ended."""
    _note("begin", number)
    until, digest = time.monotonic() + RUN_SECONDS, str(number).encode()
    while time.monotonic() < until:
        digest = hashlib.sha256(digest).digest()
    _note("end", number)
    return digest.hex()


def _note(event: str, number: int) -> None:
    # One write of one short line to a file opened for appending: lines of several processes never mix.
    journal = os.open(os.environ[JOURNAL], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(journal, f"{event} {number} {os.getpid()}\n".encode())
    os.close(journal)


class Journal:
    """Which runs began and which ended, and where, whatever became of their process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _lines(self) -> list[tuple[str, int, int]]:
        text = self._path.read_text() if self._path.exists() else ""
        return [(event, int(number), int(pid)) for event, number, pid in map(str.split, text.splitlines())]

    def running(self) -> dict[int, int]:
        """By pid: the task that began there last and has not ended."""
        state: dict[int, int | None] = {}
        for event, number, pid in self._lines():
            state[pid] = number if event == "begin" else None
        return {pid: number for pid, number in state.items() if number is not None}

    def runs(self) -> dict[int, tuple[int, ...]]:
        """By task: the pids it began on, in order."""
        found: dict[int, tuple[int, ...]] = {}
        for event, number, pid in self._lines():
            if event == "begin":
                found[number] = (*found.get(number, ()), pid)
        return found
