"""`python -m bench schedules [--broker redis]`: one scheduler with 10,000 entries: idle, and firing 100 times a second."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from bench import media, rounds
from bench.drills.verdicts import Figure, show
from leveret.cli.benching.proc import cpu_seconds, memory
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.ports.schedule import ScheduleStore
from leveret.schedulestores.redis import RedisScheduleDriver
from leveret.schedulestores.sql import SqlScheduleDriver
from leveret.testing.conformance.schedules.rig import entry
from leveret.wiring.clock import SystemClock

ENTRIES, FAST = 10_000, 100
IDLE_SECONDS, BUSY_SECONDS = 30.0, 30.0
SETTLE_SECONDS = 10.0
"""For the start: every entry gets its first moment."""
APP = f"""\
from leveret import Leveret, crontab

app = Leveret("tasks")
app.conf.beat_schedule = {{
    f"quiet-{{n}}": {{
        "task": "tasks.tick", "args": [n],
        "schedule": crontab(minute=n % 60, hour=n % 24, day_of_month=1 + n % 28, month_of_year="1-11"),
    }}
    for n in range({ENTRIES})
}}

@app.task(ignore_result=True)
def tick(number): ...
"""
"""Nothing of it is due in December."""


KINDS = {"sqlite": SqlScheduleDriver, "redis": RedisScheduleDriver, "valkey": RedisScheduleDriver}


def run(broker: str) -> None:
    with tempfile.TemporaryDirectory() as name, media.medium(broker) as medium, medium.place(Path(name)) as places:
        folder, url = Path(name), Url(places["LEVERET_BROKER_URL"])
        if url.scheme not in KINDS:
            raise SystemExit(f"no schedule is kept in {url.scheme}: {', '.join(KINDS)}")
        (folder / "tasks.py").write_text(APP.replace('"1-11"', f'"{other_months()}"'))
        (folder / "pyproject.toml").write_text("")
        command = [sys.executable, "-m", "leveret.cli", "-A", "tasks", "-q", "beat"]
        process = subprocess.Popen(command, cwd=folder, env={**os.environ, **places})
        try:
            measure(url, process.pid, medium)
        finally:
            process.terminate()
            process.wait()


def other_months() -> str:
    """Those in which it is not now."""
    now = time.gmtime().tm_mon
    return ",".join(str(month) for month in range(1, 13) if month not in (now, now % 12 + 1))


def measure(url: Url, pid: int, medium: media.Medium) -> None:
    started = time.monotonic()
    while _on_store(url, _unplanned):
        time.sleep(0.2)
    ready = time.monotonic() - started
    time.sleep(SETTLE_SECONDS)
    idle, served_idle = _busy(pid, medium, IDLE_SECONDS)
    _on_store(url, _add_fast)
    time.sleep(5.0)
    busy, served_busy = _busy(pid, medium, BUSY_SECONDS)
    late = sorted(_on_store(url, _lateness))
    figures = [
        Figure("10,000 entries planned after", ready, 30, "s"),
        Figure("CPU of an idle scheduler, 10,000 entries", idle, 1, "%"),
        Figure("CPU at 100 fires a second", busy, 50, "%"),
        Figure("lateness at 100 fires a second, p50", late[len(late) // 2] * 1000, 250, "ms"),
        Figure("lateness at 100 fires a second, p99", late[int(len(late) * 0.99)] * 1000, 250, "ms"),
        Figure("runs looked at", len(late), FAST * 20, "", at_least=True),
    ]
    content = {
        "figures": show(figures),
        "pss_mb": memory(pid).pss_mb,
        "max_ms": late[-1] * 1000,
        "server_cpu_percent": {"idle": served_idle, "busy": served_busy},
    }
    rounds.write(rounds.named("schedules-bench", medium.name), content)


def _busy(pid: int, medium: media.Medium, seconds: float) -> tuple[float, float]:
    """The scheduler's share of a core over that time, and its server's; in percent."""
    before, served, since = cpu_seconds(pid), medium.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - since
    return (cpu_seconds(pid) - before) / passed * 100, (medium.cpu_seconds() - served) / passed * 100


async def _unplanned(store: ScheduleStore) -> bool:
    standings = await store.look()
    return len(standings) < ENTRIES or any(standing is None or standing.due == 0.0 for standing in standings)


async def _add_fast(store: ScheduleStore) -> None:
    """Entries of one second, spread evenly over it."""
    now = (await store.due(0)).now
    await store.put(tuple(entry(f"fast-{n}", 1.0, start=now + 2.0 + n / FAST) for n in range(FAST)))


async def _lateness(store: ScheduleStore) -> list[float]:
    standings = await store.look(tuple(f"fast-{n}" for n in range(FAST)), 20)
    return [run.late for standing in standings if standing is not None for run in standing.runs]


def _on_store(url: Url, work: Any) -> Any:
    async def opened() -> Any:
        driver = KINDS[url.scheme](url, DriverOptions(), SystemClock())
        try:
            return await work(driver.schedules())
        finally:
            await driver.close()

    made: Coroutine[Any, Any, Any] = opened()
    return asyncio.run(made)
