"""What happened in a drill: one line for each event, appended by every process to one file, and read by the judge.

A line is one `write` to a file opened with O_APPEND. A kill may cut one short where it crosses a page of the file's, so
each also begins a new line: what was cut is then no line, as if it had come a moment later.
"""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import msgspec


class Line(msgspec.Struct, omit_defaults=True):
    """`what`: start, done and commit of tasks; confirmed, unknown, failed, answer of producers."""

    what: str
    id: str
    at: float
    pid: int
    node: str = ""
    key: str = ""
    """The producer's own name of the call: copies of one call have it in common, whatever their ids."""
    note: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


class Pen:
    """Writes lines; used after a fork too."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __call__(self, what: str, id: str, *, node: str = "", key: str = "", note: str = "") -> None:
        line = b"\n%b\n" % _encode(Line(what, id, time.time(), os.getpid(), node, key, note))
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
        finally:
            os.close(file)


class History:
    """The judge's view; reads only what is new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._at = 0
        self.lines: list[Line] = []
        self._by: dict[str, dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))

    def read(self) -> list[Line]:
        """Answer the new lines."""
        with self.path.open("rb") as file:
            file.seek(self._at)
            whole, newline, _ = file.read().rpartition(b"\n")
        # One that was cut short lacks its end.
        fresh = [_decode(line) for line in whole.split(b"\n") if line.endswith(b"}")]
        self._at += len(whole) + len(newline)
        self.lines += fresh
        for line in fresh:
            self._by[line.what][line.key or line.id].append(line)
        return fresh

    def of(self, what: str) -> dict[str, list[Line]]:
        """Lines of one kind by key; by id where there is none."""
        self.read()
        return self._by[what]

    def running(self) -> int:
        """How many runs have begun and not ended."""
        self.read()
        ended = Counter(line.id for lines in self._by["done"].values() for line in lines)
        begun = Counter(line.id for lines in self._by["start"].values() for line in lines)
        return sum((begun - ended).values())


class Verdict(msgspec.Struct, kw_only=True):
    """What the judge counted (faults.md 5.1: a total queue)."""

    confirmed: int
    unknown: int
    failed: int
    lost: int
    """Confirmed and never ended."""
    executions: int
    again: int
    """Runs beyond the first of each call."""
    committed_twice: int
    """Calls with a second terminal outcome."""
    unexpected: int
    """Sends that failed for certain, and ran all the same."""


def judge(history: History, ended: Iterable[str] | None = None) -> Verdict:
    """Count. `ended`: keys of calls that have ended, where a store knows it; else a run's own last line says so."""
    starts, confirmed, failed = history.of("start"), history.of("confirmed"), history.of("failed")
    over = set(history.of("done")) if ended is None else set(ended)
    commits = Counter(line.id for lines in history.of("commit").values() for line in lines)
    return Verdict(
        confirmed=len(confirmed),
        unknown=len(history.of("unknown")),
        failed=len(failed),
        lost=len(set(confirmed) - over),
        executions=sum(map(len, starts.values())),
        again=sum(len(lines) - 1 for lines in starts.values()),
        committed_twice=sum(count > 1 for count in commits.values()),
        unexpected=len(set(failed) & set(starts)),
    )
