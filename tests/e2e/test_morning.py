"""A `beat_schedule` as people write it, in a real worker on a clock on which 07:30 really comes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.e2e.harness import ROOT

APP = """\
from leveret import Leveret
from leveret.celery.schedules import crontab

app = Leveret("tasks", timezone="Asia/Seoul")
app.conf.beat_schedule = {
    "add-every-30-seconds": {"task": "tasks.note", "schedule": 30.0, "args": ("often",)},
    "add-every-morning": {"task": "tasks.note", "schedule": crontab(hour=7, minute=30), "args": ("morning",)},
    "every-three-hours": {
        "task": "tasks.note",
        "schedule": crontab(minute=0, hour="*/3"),
        "kwargs": {"name": "hours"},
        "options": {"queue": "slow", "expires": 900},
    },
}

@app.task(bind=True)
def note(self, name):
    with open("notes", "a") as file:
        file.write(f"{name} {self.request.headers['periodic_task_moment']}\\n")
"""
SEOUL = ZoneInfo("Asia/Seoul")


class Morning:
    """A worker whose clock is put, and what its tasks have noted."""

    def __init__(self, folder: Path) -> None:
        self._offset, self._notes, self.log = folder / "offset", folder / "notes", folder / "log"
        (folder / "tasks.py").write_text(APP)
        (folder / "pyproject.toml").write_text("")
        self._notes.touch()
        # Tomorrow: Seoul has no summer time, and what is noted of its day is of no other.
        self.day = datetime.now(SEOUL).replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
        self.put(7, 0)
        command = [sys.executable, "-m", "tests.e2e.shifted", str(self._offset), "worker", "-A", "tasks"]
        command += ["-c", "1", "-Q", "default,slow", "-l", "INFO", "--workdir", str(folder)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=self.log.open("wb"), stderr=subprocess.STDOUT)
        self.until(lambda: "the schedule that the code defines is in the store" in self.log.read_text())

    def put(self, hour: int, minute: int, second: int = 0) -> None:
        """Put the clock to a time of that day in Seoul; in one step, for it is being read."""
        at = self.day.replace(hour=hour, minute=minute, second=second)
        fresh = self._offset.with_suffix(".new")
        fresh.write_text(str(at.timestamp() - time.time()))
        fresh.replace(self._offset)

    def moments(self, name: str) -> list[str]:
        """When its runs were due, on the wall clock of Seoul."""
        lines = [line.split() for line in self._notes.read_text().splitlines()]
        return [f"{datetime.fromisoformat(at).astimezone(SEOUL):%H:%M:%S}" for who, at in lines if who == name]

    def until(self, true: Callable[[], bool], timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < deadline, f"{self._notes.read_text()}\n{self.log.read_text()}"
            time.sleep(0.02)

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(20) == 0


@pytest.fixture
def morning(tmp_path: Path) -> Iterator[Morning]:
    made = Morning(tmp_path)
    yield made
    made.end()


def test_at_half_past_seven_it_is_run_and_not_before(morning: Morning) -> None:
    morning.put(7, 20)
    morning.until(lambda: len(morning.moments("often")) == 1)
    early = morning.moments("morning")
    morning.put(7, 29, 59)
    morning.until(lambda: morning.moments("morning") != [])
    morning.put(8, 59, 59)
    morning.until(lambda: morning.moments("hours") != [])
    morning.put(11, 59, 59)
    morning.until(lambda: len(morning.moments("hours")) == 2)

    assert early == []
    assert morning.moments("morning") == ["07:30:00"]
    assert morning.moments("hours") == ["09:00:00", "12:00:00"]
    # It began when the worker did; what was missed while the clock jumped is run once.
    assert len({moment[-2:] for moment in morning.moments("often")}) <= 2
    assert len(morning.moments("often")) == len(set(morning.moments("often"))) >= 3
