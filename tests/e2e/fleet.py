"""Several nodes and several producers, each a real process, with one history; and the judge's questions to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from tests.e2e.drill import ROOT, SEED
from tests.e2e.history import History, Verdict, judge
from tests.e2e.sending import Figures, Sending

from leveret.backends.sql.driver import SqlBackendDriver
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.ports.driver import BackendDriver
from leveret.wiring.clock import SystemClock

APP = "tests.e2e.kill_app"
READY_SECONDS = 60.0


class Worker:
    """`leveret worker` in a process group of its own."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str], command: list[str]) -> None:
        self.name, self.log = f"{name}@drill", folder / f"{name}.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self, timeout: float = 20.0) -> int:
        """A warm stop; answers the exit code."""
        self.process.terminate()
        return self.process.wait(timeout)

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Source:
    """One producer (producer.py)."""

    def __init__(self, plan: Sending, environment: dict[str, str]) -> None:
        self.plan = plan
        command = [sys.executable, "-m", "tests.e2e.producer", msgspec.json.encode(plan).decode()]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def stop(self, timeout: float = 90.0) -> Figures:
        """Let it finish what it awaits; answers its figures."""
        told, _ = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, f"producer {self.plan.name} ended with {self.process.returncode}"
        return msgspec.json.decode(told, type=Figures)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Fleet:
    """`broker` and `results` are URLs; without `results` they travel as messages (`rpc://`), unless the broker keeps
    them (a subclass then sets `store`)."""

    app = APP
    lease = 20.0

    def __init__(self, folder: Path, broker: str, results: str | None = None, **settings: Any) -> None:
        self.folder = folder
        self.history = History(folder / "history")
        self.store: BackendDriver | None = None
        if results:
            self.store = SqlBackendDriver(Url(results), DriverOptions(), SystemClock())
        self.workers: list[Worker] = []
        self.sources: list[Source] = []
        self._settings = {**settings, **({"result_backend": results} if results else {})}
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
            "KILL_URL": broker,
            "KILL_HISTORY": str(self.history.path),
            "KILL_LEASE": str(self.lease),
        }

    def worker(self, name: str, *options: str, broker: str | None = None, mutant: str = "", **settings: Any) -> Worker:
        """Start a node; `broker`: its own way to the broker."""
        module = ["tests.e2e.mutants", mutant] if mutant else ["leveret.cli"]
        command = [
            sys.executable,
            "-m",
            *module,
            "worker",
            "-A",
            self.app,
            "-n",
            f"{name}@drill",
            "-l",
            "INFO",
            "-q",
            *options,
        ]
        worker = Worker(name, self.folder, self._as(broker, settings), command)
        self.workers.append(worker)
        return worker

    def source(self, broker: str | None = None, settings: dict[str, Any] | None = None, **plan: Any) -> Source:
        """Start a producer."""
        source = Source(Sending(seed=SEED, **plan), self._as(broker, settings or {}))
        self.sources.append(source)
        return source

    def _as(self, broker: str | None, settings: dict[str, Any]) -> dict[str, str]:
        own = {"KILL_SETTINGS": json.dumps({**self._settings, **settings})}
        return {**self.environment, **own, **({"KILL_URL": broker} if broker else {})}

    # Questions

    def nodes_seen(self, since: float = 0.0) -> set[str]:
        """Names of nodes that began a task after a moment."""
        return {line.node for lines in self.history.of("start").values() for line in lines if line.at > since}

    def ready(self, timeout: float = READY_SECONDS) -> None:
        """Wait until every node has begun a task."""
        names = {worker.name for worker in self.workers}
        self.until(lambda: names <= self.nodes_seen(), timeout, lambda: f"only {self.nodes_seen()} of {names} work")

    def open(self) -> set[str]:
        """Keys of confirmed calls that have not ended. The store is asked only when every run has said so."""
        confirmed = set(self.history.of("confirmed"))
        return confirmed - set(self.history.of("done")) or confirmed - self.ended()

    def ended(self) -> set[str]:
        """Keys of calls that have ended: by a run's last line; with a store, by what it keeps."""
        self.history.read()
        if self.store is None:
            return set(self.history.of("done"))
        keys = {lines[0].id: key for key, lines in self.history.of("confirmed").items()}
        ids = list(keys)
        records = self.store.blocking_backend().get(ids)
        return {keys[id] for id, record in zip(ids, records, strict=True) if record is not None and record.terminal}

    def drained(self, timeout: float = 60.0) -> float:
        """Wait until every confirmed call has ended; answers how long that took. What never ends is for the judge."""
        began = time.monotonic()
        with suppress(AssertionError):
            self.until(lambda: not self.open(), timeout, pause=0.1)
        return round(time.monotonic() - began, 2)

    def judge(self) -> Verdict:
        return judge(self.history, None if self.store is None else self.ended())

    def until(
        self,
        true: Callable[[], bool],
        timeout: float,
        why: Callable[[], str] = lambda: "",
        pause: float = 0.02,
    ) -> None:
        """Wait for a fact that has no event to wait for."""
        deadline = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < deadline, f"not within {timeout} s: {why()}\n{self.logs()}"
            time.sleep(pause)

    def logs(self, lines: int = 12) -> str:
        """The last warnings and errors of each node."""
        told = []
        for worker in self.workers:
            text = worker.log.read_text(errors="replace").splitlines()
            told += [f"-- {worker.name}", *[line for line in text if ": INFO/" not in line][-lines:]]
        return "\n".join(told)

    # The end

    def outcome(self, stop: float = 90.0, drain: float = 60.0) -> dict[str, Any]:
        """Stop the producers, wait until all has ended, stop the workers; answers what every drill tells of it."""
        figures = self.stop_sources(stop)
        drained = self.drained(drain)
        verdict = self.judge()
        return {
            "drained_seconds": drained,
            "confirmed": verdict.confirmed,
            "unknown": verdict.unknown,
            "failed": verdict.failed,
            "lost": verdict.lost,
            "again": verdict.again,
            "committed_twice": verdict.committed_twice,
            "unexpected": verdict.unexpected,
            "answers": sum(figure.answers for figure in figures),
            "missing_results": sum(figure.missing for figure in figures),
            "slowest_send": max(figure.slowest_send for figure in figures),
            "problems": [problem for figure in figures for problem in figure.problems][:5],
            "exit_codes": [worker.stop() for worker in self.workers],
        }

    def stop_sources(self, timeout: float = 90.0) -> list[Figures]:
        for source in self.sources:
            if source.process.stdin is not None:
                source.process.stdin.close()
                source.process.stdin = None
        return [source.stop(timeout) for source in self.sources]

    def close(self) -> None:
        for source in self.sources:
            source.end()
        for worker in self.workers:
            worker.end()
        if self.store is not None:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
