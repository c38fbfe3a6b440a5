"""Real schedulers on one SQLite file or one Redis, killed again and again: every moment is there once."""

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from datetime import datetime
from pathlib import Path

import pytest
from tests.e2e.drill import SEED, keep, size
from tests.servers.fixtures import own_redis  # noqa: F401 - fixture

from leveret.brokers.redis.driver import RedisDriver
from leveret.brokers.sql.driver import SqlDriver
from leveret.logic.schedules.ticks import MOMENT_HEADER, NAME_HEADER
from leveret.model.delivery import Claim, SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

ENTRIES, SCHEDULERS, SECONDS = 50, 3, size(60.0, 8.0)
APP = f"""\
from leveret import Leveret

app = Leveret("tasks"BROKER)
app.conf.beat_schedule = {{
    f"entry-{{n}}": {{"task": "tasks.tick", "schedule": 1.0, "args": [n], "catch_up": "all"}} for n in range({ENTRIES})
}}

@app.task(ignore_result=True)
def tick(number): ...
"""
NOTES = """\
from leveret import Leveret

app = Leveret("tasks", broker=URL)
app.conf.beat_schedule = {"note": {"task": "tasks.note", "schedule": 0.5}}

@app.task
def note():
    with open("notes", "a") as file:
        file.write("x")
"""


@pytest.fixture(params=["sqlite", "redis"])
def url(request, tmp_path) -> Url:
    """Where both messages and schedule are."""
    (tmp_path / "pyproject.toml").write_text("")
    if request.param == "redis":
        return Url(request.getfixturevalue("own_redis").url)
    return Url(f"sqlite:///{tmp_path / '.leveret' / 'queue.db'}")


def start(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "leveret.cli", "-A", "tasks", "-q", *words]
    return subprocess.Popen(command, cwd=folder, stderr=(folder / "beat.log").open("ab"))


@pytest.mark.chaos
def test_every_moment_is_sent_once_however_often_schedulers_are_killed(url, tmp_path, capsys):
    (tmp_path / "tasks.py").write_text(APP.replace("BROKER", f", broker={str(url)!r}" if url.scheme == "redis" else ""))
    dice, kills = random.Random(SEED), 0
    running = [start(tmp_path, "beat") for _ in range(SCHEDULERS)]
    try:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(dice.uniform(0.2, 2.0))
            place = dice.randrange(SCHEDULERS)
            running[place].kill()
            running[place].wait()
            kills += 1
            running[place] = start(tmp_path, "beat")
        # What the killed had taken is handed on after two seconds.
        time.sleep(5.0)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()

    found = asyncio.run(occurrences(url))

    wrong = {name: bad for name, moments in found.items() if (bad := not_once(moments))}
    late = sorted(late for moments in found.values() for late in moments.values())
    figures = {
        "entries": len(found),
        "occurrences": sum(sum(moments.values()) for moments in found.values()),
        "not_equal_to_one": sum(map(len, wrong.values())),
        "kills": kills,
        "seconds": SECONDS,
    }
    with capsys.disabled():
        keep(f"schedules-{url.scheme}", figures)
    assert late
    assert wrong == {}, (tmp_path / "beat.log").read_text()[-2000:]
    assert len(found) == ENTRIES
    assert min(sum(moments.values()) for moments in found.values()) >= SECONDS - 3
    assert kills >= SECONDS / 3


def test_a_worker_fires_what_the_code_defines_unless_told_otherwise(url, tmp_path):
    (tmp_path / "tasks.py").write_text(NOTES.replace("URL", repr(str(url))))
    notes = tmp_path / "notes"
    notes.touch()
    worker = start(tmp_path, "worker", "-c", "1")
    try:
        end = time.monotonic() + 20.0
        while notes.stat().st_size < 3 and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        worker.terminate()
        worker.wait()

    assert notes.stat().st_size >= 3, (tmp_path / "beat.log").read_text()[-2000:]


def not_once(moments: Counter[float]) -> list[float]:
    """The seconds between the first and the last moment that have not exactly one run."""
    first = min(moments)
    seconds = Counter({round(moment - first, 3): times for moment, times in moments.items()})
    whole = {float(number) for number in range(round(max(seconds)) + 1)}
    return sorted(second for second in whole | set(seconds) if second not in whole or seconds[second] != 1)


async def occurrences(url: Url) -> dict[str, Counter[float]]:
    """Everything in the queue: entry -> moment -> how often."""
    driver = (RedisDriver if url.scheme == "redis" else SqlDriver)(url, DriverOptions(), SystemClock())
    session = SessionId("count")
    node = Node(name="count", incarnation="count", boot="", pid=0, queues=("default",))
    await driver.leases().register(node, (Session(id=session, node="count", incarnation="count", pid=0),))
    broker, found, number = driver.broker(), defaultdict(Counter), 0
    while True:
        number += 1
        claim = Claim(session=session, queues=("default",), credit=1000, number=number)
        deliveries = await broker.claim(claim)
        if not deliveries:
            break
        for delivery in deliveries:
            headers = delivery.encoded.headers
            found[headers[NAME_HEADER]][datetime.fromisoformat(headers[MOMENT_HEADER]).timestamp()] += 1
    await broker.close()
    if isinstance(driver, SqlDriver):
        driver.close()
    return dict(found)
