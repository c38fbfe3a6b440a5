"""Celery's own beat sends a schedule, and two Leveret workers with the same schedule in their app run it: once.

CI watches for some seconds; LEVERET_CHAOS=full for a minute.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.e2e.drill import keep, size
from tests.interop.sides.processes import until
from tests.servers.rabbit.remote import Vhost

SECONDS = size(60.0, 8.0)
SCHEDULE = """
SCHEDULE = {
    "often": {"task": "beat.note", "schedule": 1.0, "args": ("often",), "options": {"queue": "ticks"}},
    "other": {"task": "beat.note", "schedule": 2.0, "args": ("other",), "options": {"queue": "ticks"}},
}
"""
CELERY = """
from celery import Celery
from schedule_of_both import SCHEDULE
app = Celery("both", broker=URL)
app.conf.beat_schedule = SCHEDULE
"""
LEVERET = """
from leveret import Leveret
from schedule_of_both import SCHEDULE
app = Leveret("both", broker=URL, backend=STORE, profile=PROFILE)
app.conf.beat_schedule = SCHEDULE

@app.task(name="beat.note", bind=True, ignore_result=True)
def note(self, name):
    with open("notes", "a") as file:
        file.write(f"{name} {self.request.id}\\n")
"""


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("profile", "kept"),
    [("celery", ""), ("leveret", ""), ("leveret", "worker"), ("leveret", "alone")],
    ids=["celery", "leveret", "store", "alone"],
)
def test_a_schedule_that_celerys_beat_sends_runs_once(
    profile: str, kept: str, rabbit_vhost: Vhost, tmp_path: Path, capsys, request
) -> None:
    """`kept`: our workers could fire the schedule too, and leave it to Celery's beat: because a worker of Celery's
    answers, or, where beat is alone and nobody does, because of what it sends."""
    (tmp_path / "schedule_of_both.py").write_text(SCHEDULE)
    (tmp_path / "theirs.py").write_text(f"URL = {rabbit_vhost.url!r}\n{CELERY}")
    store = f"sqlite:///{tmp_path}/results.db" if kept else None
    (tmp_path / "ours.py").write_text(f"URL, STORE = {rabbit_vhost.url!r}, {store!r}\nPROFILE = {profile!r}\n{LEVERET}")
    (tmp_path / "notes").touch()

    with running(tmp_path) as start:
        # Beat first: queues that Celery has made are taken as they are.
        start("beat", "celery", "-A", "theirs", "beat", "-l", "INFO")
        until(lambda: sent(tmp_path) > 0)
        if kept == "worker":
            start("other", "celery", "-A", "theirs", "worker", "-Q", "elsewhere", "-c", "1", "-l", "INFO")
            until(lambda: " ready." in (tmp_path / "other.log").read_text(), timeout=30.0)
        for number in range(2):
            node = ("-Q", "ticks", "-n", f"w{number}@x", "-c", "1")
            start(f"worker{number}", "leveret.cli", "worker", "ours:app", *node)
        time.sleep(SECONDS)
    until(lambda: len(notes(tmp_path)) >= sent(tmp_path) - 2, timeout=1.0)

    found, said = notes(tmp_path), sent(tmp_path)
    with capsys.disabled():
        keep(
            f"beat-{request.node.callspec.id}",
            {"sent_by_celerys_beat": said, "runs": len(found), "twice": len(found) - len(set(found))},
        )
    assert said >= SECONDS
    assert Counter(Counter(found).values()) == {1: len(found)}
    assert 0 <= said - len(found) <= 2, "what beat sent as it was stopped"
    logs = "".join((tmp_path / f"worker{number}.log").read_text() for number in range(2))
    said_so = {"": "schedule entries not run: 2", "worker": "left to celery beat: 2", "alone": "it is left to beat"}
    assert logs.count("left to celery beat: 2" if profile == "celery" else said_so[kept]) >= 2


class running:  # noqa: N801 - reads as `with running(...)`
    """Processes that end with the block."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._processes = folder, []

    def __enter__(self):
        return self.start

    def start(self, name: str, module: str, *words: str) -> None:
        with (self._folder / f"{name}.log").open("w") as log:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-W", "ignore", "-m", module, *words],
                    cwd=self._folder,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env={**os.environ, "PYTHONPATH": str(self._folder)},
                )  # fmt: skip
            )

    def __exit__(self, *_: object) -> None:
        # In the order of their starts: what beat sends last still finds a worker.
        for process in self._processes:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def notes(folder: Path) -> list[str]:
    return (folder / "notes").read_text().splitlines()


def sent(folder: Path) -> int:
    return (folder / "beat.log").read_text().count("Sending due task")
