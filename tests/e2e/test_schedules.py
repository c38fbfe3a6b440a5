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
from leveret.logic.schedules.ticks import MOMENT_HEADER, NAME_HEADER, run_id
from leveret.model.delivery import Claim, SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.schedulestores.redis import RedisScheduleDriver
from leveret.schedulestores.sql import SqlScheduleDriver
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
from leveret import Leveret, chord

app = Leveret("tasks", broker=URL)

@app.task
def note():
    with open("notes", "a") as file:
        file.write("x")

@app.task
def part(number):
    return number

@app.task(bind=True)
def whole(self, values):
    with open("wholes", "a") as file:
        file.write(f"{self.request.id} {sum(values)}\\n")

app.conf.beat_schedule = {
    "note": {"task": "tasks.note", "schedule": 0.5},
    "chord": {"task": chord([part.s(number) for number in range(4)], whole.s()), "schedule": 0.5, "overlap": "skip"},
}
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
    notes, wholes = tmp_path / "notes", tmp_path / "wholes"
    for file in (notes, wholes):
        file.touch()
    worker = start(tmp_path, "worker", "-c", "1")
    try:
        end = time.monotonic() + 20.0
        while (notes.stat().st_size < 3 or len(wholes.read_text().split()) < 6) and time.monotonic() < end:
            time.sleep(0.05)
    finally:
        worker.terminate()
        worker.wait()

    assert notes.stat().st_size >= 3, (tmp_path / "beat.log").read_text()[-2000:]
    # A composition is fired like a task: once, and what it comes to has the run's id.
    ended = [tuple(line.split()) for line in wholes.read_text().splitlines()]
    assert len(ended) >= 3, (tmp_path / "beat.log").read_text()[-2000:]
    assert {total for _, total in ended} == {"6"}
    assert Counter(id for id, _ in ended) == Counter(asyncio.run(runs(url, "chord"))[: len(ended)])


def not_once(moments: Counter[float]) -> list[float]:
    """The seconds between the first and the last moment that have not exactly one run."""
    first = min(moments)
    seconds = Counter({round(moment - first, 3): times for moment, times in moments.items()})
    whole = {float(number) for number in range(round(max(seconds)) + 1)}
    return sorted(second for second in whole | set(seconds) if second not in whole or seconds[second] != 1)


async def runs(url: Url, name: str) -> list[str]:
    """The ids of an entry's runs, the oldest first, computed anew from revision and moment."""
    kind = RedisScheduleDriver if url.scheme == "redis" else SqlScheduleDriver
    driver = kind(url, DriverOptions(), SystemClock())
    (standing,) = await driver.schedules().look((name,), runs=20)
    await driver.close()
    assert standing is not None
    return [run_id(name, standing.revision, run.moment) for run in reversed(standing.runs) if run.outcome == "sent"]


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
