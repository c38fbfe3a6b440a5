"""Schedulers on RabbitMQ, their schedule in SQLite or Redis with the results, killed again and again: each moment runs once."""

import random
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.servers.fixtures import own_redis  # noqa: F401 - fixture
from tests.servers.rabbit.remote import Vhost

ENTRIES, SCHEDULERS, SECONDS = 10, 3, size(60.0, 8.0)
APP = f"""
app = Leveret("tasks", broker=URL, backend=RESULTS)
app.conf.beat_schedule = {{
    f"entry-{{n}}": {{"task": "tasks.note", "schedule": 1.0, "args": [n], "catch_up": "all"}} for n in range({ENTRIES})
}}

@app.task(bind=True, name="tasks.note", ignore_result=True)
def note(self, number):
    with open("notes", "a") as file:
        file.write(f"{{number}} {{self.request.headers['periodic_task_moment']}}\\n")
"""


def start(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "leveret.cli", "-A", "tasks", "-q", *words]
    return subprocess.Popen(command, cwd=folder, stderr=(folder / "log").open("ab"))


@pytest.mark.chaos
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_every_moment_runs_once_however_often_schedulers_are_killed(
    rabbit_vhost: Vhost, tmp_path: Path, capsys, request: pytest.FixtureRequest, store: str
) -> None:
    results = request.getfixturevalue("own_redis").url if store == "redis" else "sqlite:///results.db"
    urls = f"URL, RESULTS = {rabbit_vhost.url!r}, {results!r}"
    (tmp_path / "tasks.py").write_text(f"from leveret import Leveret\n{urls}\n{APP}")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "notes").touch()
    dice, kills = random.Random(SEED), 0
    worker = start(tmp_path, "worker", "-c", "1", "--no-beat")
    running = [start(tmp_path, "beat") for _ in range(SCHEDULERS)]
    try:
        begun = time.monotonic()
        while not (tmp_path / "notes").stat().st_size:
            assert time.monotonic() < begun + 60, "nothing was fired"
            time.sleep(0.1)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(dice.uniform(0.3, 2.5))
            place = dice.randrange(SCHEDULERS)
            running[place].kill()
            running[place].wait()
            running[place] = start(tmp_path, "beat")
            kills += 1
        time.sleep(6.0)
    finally:
        for process in (*running, worker):
            process.terminate()
        for process in (*running, worker):
            process.wait()

    runs = Counter(tuple(line.split()) for line in (tmp_path / "notes").read_text().splitlines())
    wrong = [run for run, times in runs.items() if times != 1]
    for number in range(ENTRIES):
        moments = sorted(datetime.fromisoformat(at).timestamp() for entry, at in runs if entry == str(number))
        wrong += [(number, b - a) for a, b in zip(moments, moments[1:], strict=False) if round(b - a, 3) != 1.0]
    figures = {"occurrences": sum(runs.values()), "not_equal_to_one": len(wrong), "kills": kills, "seconds": SECONDS}
    with capsys.disabled():
        keep("schedules-rabbitmq" if store == "sqlite" else "schedules-rabbitmq-redis", figures)
    assert wrong == []
    assert sum(runs.values()) >= ENTRIES * (SECONDS - 3)
