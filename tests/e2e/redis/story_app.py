"""The app of the story: a crawler. Each task fetches a page over HTTP and puts a row into a database.

`python -m tests.e2e.redis.story_app WAVES SIZE`: sends wave after wave, waits for all results of each, and prints what
came. Environment: that of `kill_app`, STORY_PAGES (the server), STORY_ROWS (the database).
"""

import json
import os
import sqlite3
import sys
import threading
import time
import urllib.request
from hashlib import sha1
from typing import Any

from tests.e2e.kill_app import app, note

from leveret.errors import BrokerError, TimeoutError

PAGES = 200
"""The same pages again and again."""
PATIENCE = 60.0
_own = threading.local()


@app.task(bind=True)
def crawl(self: Any, page: int, key: str) -> str:
    note("start", self.request.id, node=self.request.hostname, key=key)
    with urllib.request.urlopen(f"{os.environ['STORY_PAGES']}/{page}", timeout=30) as answer:
        digest = sha1(answer.read()).hexdigest()
    database = _database()
    with database:
        database.execute(
            "INSERT INTO pages VALUES (?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET runs = runs + 1", (key, page, digest)
        )
    note("done", self.request.id, node=self.request.hostname, key=key)
    return digest


def _database() -> sqlite3.Connection:
    """Of each thread its own."""
    found: sqlite3.Connection | None = getattr(_own, "database", None)
    if found is None:
        found = _own.database = sqlite3.connect(os.environ["STORY_ROWS"], timeout=30)
        found.execute("PRAGMA synchronous = OFF")
    return found


def main(waves: int, size: int) -> None:
    told: dict[str, Any] = {"sent": 0, "answers": 0, "stuck": [], "refused": [], "slowest_wave": 0.0}
    for wave in range(waves):
        began, waiting = time.monotonic(), []
        for number in range(size):
            key = f"{wave}-{number}"
            try:
                result = crawl.delay(number % PAGES, key)
            except BrokerError as error:
                told["refused"].append(f"{key}: {error}")
                continue
            note("confirmed", result.id, key=key)
            waiting.append((key, result))
        told["sent"] += len(waiting)
        for key, result in waiting:
            try:
                result.get(timeout=PATIENCE)
            except (BrokerError, TimeoutError) as error:
                told["stuck"].append(f"{key}: {result.state}: {error}")
            else:
                told["answers"] += 1
        told["slowest_wave"] = max(told["slowest_wave"], round(time.monotonic() - began, 2))
    app.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
