"""`python -m bench schedules`: one scheduler with 10,000 entries on SQLite: idle, and firing 100 times a second."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from bench import rounds
from bench.drills.verdicts import Figure, show
from leveret.cli.benching.proc import cpu_seconds, memory
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.ports.schedule import ScheduleStore
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


def run() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tasks.py").write_text(APP.replace('"1-11"', f'"{other_months()}"'))
        (folder / "pyproject.toml").write_text("")
        command = [sys.executable, "-m", "leveret.cli", "-A", "tasks", "-q", "beat"]
        process = subprocess.Popen(command, cwd=folder)
        try:
            measure(folder, process.pid)
        finally:
            process.terminate()
            process.wait()


def other_months() -> str:
    """Those in which it is not now."""
    now = time.gmtime().tm_mon
    return ",".join(str(month) for month in range(1, 13) if month not in (now, now % 12 + 1))


def measure(folder: Path, pid: int) -> None:
    started = time.monotonic()
    while _on_store(folder, _unplanned):
        time.sleep(0.2)
    ready = time.monotonic() - started
    time.sleep(SETTLE_SECONDS)
    idle = _busy(pid, IDLE_SECONDS)
    _on_store(folder, _add_fast)
    time.sleep(5.0)
    busy = _busy(pid, BUSY_SECONDS)
    late = sorted(_on_store(folder, _lateness))
    figures = [
        Figure("10,000 entries planned after", ready, 30, "s"),
        Figure("CPU of an idle scheduler, 10,000 entries", idle, 1, "%"),
        Figure("CPU at 100 fires a second", busy, 50, "%"),
        Figure("lateness at 100 fires a second, p50", late[len(late) // 2] * 1000, 250, "ms"),
        Figure("lateness at 100 fires a second, p99", late[int(len(late) * 0.99)] * 1000, 250, "ms"),
        Figure("runs looked at", len(late), FAST * 20, "", at_least=True),
    ]
    rounds.write("schedules-bench", {"figures": show(figures), "pss_mb": memory(pid).pss_mb, "max_ms": late[-1] * 1000})


def _busy(pid: int, seconds: float) -> float:
    before, since = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - since) * 100


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


def _on_store(folder: Path, work: Any) -> Any:
    async def opened() -> Any:
        url = Url(f"sqlite:///{folder}/.leveret/queue.db")
        driver = SqlScheduleDriver(url, DriverOptions(), SystemClock())
        try:
            return await work(driver.schedules())
        finally:
            await driver.close()

    made: Coroutine[Any, Any, Any] = opened()
    return asyncio.run(made)
