"""redis-story: what a user told of Celery on Redis with a pool of threads. Crawling and database tasks, the same ones
again and again, until some stick in PENDING and in the end the whole worker stands still. Here: all end, none is stuck,
though Redis is killed twice in between.
"""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import ROOT, keep, size
from tests.e2e.redis import story_page
from tests.e2e.redis.field import RedisFleet
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(size(3600, 300))]

WAVES = size(20, 4)
WAVE = size(1000, 500)
THREADS = 32
RESTARTS = 2


class Story(RedisFleet):
    app = "tests.e2e.redis.story_app"


def drill(server: RedisServer, folder: Path, waves: int, wave: int, mutant: str = "", patience: float = 600.0) -> Any:
    total, rows = waves * wave, folder / "rows.db"
    struck: list[int] = []
    with story_page.served() as pages, Story(folder, server.url) as fleet:
        story_page.prepare(rows)
        fleet.environment |= {"STORY_PAGES": pages, "STORY_ROWS": str(rows)}
        worker = fleet.worker("crawler", "-P", "threads", "-c", str(THREADS), mutant=mutant)
        command = [sys.executable, "-m", "tests.e2e.redis.story_app", str(waves), str(wave)]
        with subprocess.Popen(command, cwd=ROOT, env=fleet._as(None, {}), stdout=subprocess.PIPE) as sender:
            try:
                for restart in range(RESTARTS):
                    # In the middle of a wave.
                    goal = (restart + 1) * total // (RESTARTS + 1) + wave // 4
                    fleet.until(lambda n=goal: len(fleet.history.of("done")) >= n, patience, lambda: "it stands still")
                    struck.append(len(fleet.open()))
                    server.kill()
                    server.start()
                told = json.loads(sender.communicate(timeout=patience)[0])
            finally:
                sender.kill()
        left = fleet.left()
        verdict = fleet.judge()
        code = worker.stop()
        with closing(sqlite3.connect(rows)) as database:
            found, again = database.execute("SELECT count(*), sum(runs) - count(*) FROM pages").fetchone()
    seconds = max(line.at for line in fleet.history.lines) - min(line.at for line in fleet.history.lines)
    return {
        "tasks": total,
        "threads": THREADS,
        "restarts": RESTARTS,
        "open_when_it_died": struck,
        "seconds": round(seconds, 1),
        "slowest_wave_seconds": told["slowest_wave"],
        "confirmed": told["sent"],
        "answers": told["answers"],
        "stuck": told["stuck"][:5],
        "refused": told["refused"][:5],
        "rows": found,
        "ran_again": again,
        "lost": verdict.lost,
        "left": left,
        "exit_code": code,
    }


def test_repeated_tasks_never_stick(own_redis: RedisServer, tmp_path: Path) -> None:
    report = drill(own_redis, tmp_path, WAVES, WAVE)

    keep("redis-story", report)
    assert all(report["open_when_it_died"])
    assert (report["stuck"], report["refused"]) == ([], [])
    assert report["answers"] == report["rows"] == WAVES * WAVE
    assert (report["lost"], report["left"], report["exit_code"]) == (0, 0, 0)
