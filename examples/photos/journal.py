"""Evidence that does not come from the queue: a line when a run begins and one when it ends, whoever is killed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Run:
    id: str
    attempt: int
    pid: int


class Journal:
    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def run(self, request: Any) -> Iterator[None]:
        """Around the body of a task."""
        self._append("begin", request)
        try:
            yield
        finally:
            self._append("end", request)

    def _append(self, event: str, request: Any) -> None:
        # A short line written at once to a file opened for appending: lines of several processes never mix.
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, f"{event} {request.id} {request.retries} {os.getpid()}\n".encode())
        os.close(file)

    def _events(self) -> list[tuple[str, Run]]:
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [(event, Run(task, int(attempt), int(pid))) for event, task, attempt, pid in map(str.split, lines)]

    def begun(self) -> list[Run]:
        return [run for event, run in self._events() if event == "begin"]

    def open_runs(self) -> list[Run]:
        """What has begun and not ended: it runs now, or its process was killed."""
        runs: dict[Run, bool] = {}
        for event, run in self._events():
            runs[run] = event == "begin"
        return [run for run, still_open in runs.items() if still_open]

    def recovered(self) -> set[str]:
        """Tasks of which one and the same attempt began more than once."""
        seen: set[tuple[str, int]] = set()
        again = set()
        for run in self.begun():
            if (run.id, run.attempt) in seen:
                again.add(run.id)
            seen.add((run.id, run.attempt))
        return again

    def retried(self) -> set[str]:
        return {run.id for run in self.begun() if run.attempt > 0}
