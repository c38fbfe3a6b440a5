"""A real node with its messages in SQLite and its results in Redis."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.redis.server import Server
from tests.servers.availability import redis_server, require

from leveret import Leveret

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="starts and signals real processes")

MODULE = """
import time
from leveret import Leveret
app = Leveret("tasks", broker="sqlite:///{folder}/queue.db", backend="{url}")

@app.task(name="add")
def add(x, y): return x + y

@app.task(name="fail")
def fail(): raise ValueError("boom")

@app.task(name="again", bind=True, max_retries=3)
def again(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.05)
    return self.request.retries

@app.task(name="slow")
def slow(seconds):
    time.sleep(seconds)
    return "slept"
"""


@pytest.fixture
def server() -> Iterator[Server]:
    require(redis_server)
    with Server() as server:
        yield server


@pytest.fixture
def app(tmp_path: Path, server: Server) -> Iterator[Leveret]:
    (tmp_path / "redis_tasks.py").write_text(MODULE.format(folder=tmp_path, url=server.url))
    log = (tmp_path / "worker.log").open("w")
    worker = subprocess.Popen(
        [sys.executable, "-m", "leveret.cli", "worker", "-A", "redis_tasks:app", "-c", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    app = Leveret("tasks", broker=f"sqlite:///{tmp_path}/queue.db", backend=server.url)
    yield app
    app.close()
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(20)
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
        log.close()


def test_results_of_every_kind_come_back(app, server):
    added, failed, retried = (
        app.send_task(name, args) for name, args in (("add", (2, 3)), ("fail", ()), ("again", ()))
    )

    assert added.get(timeout=20) == 5
    with pytest.raises(ValueError, match="boom"):
        failed.get(timeout=20)
    assert retried.get(timeout=20) == 2
    assert retried.retries == 2, "the attempt is known though the end was pushed"

    async def main() -> list[int]:
        values = [await result for result in [await app.asend_task("add", (n, n)) for n in range(20)]]
        await app.aclose()
        return values

    assert asyncio.run(main()) == [2 * n for n in range(20)]
    # A key for each that succeeded at once; the failure and the retried one have their facts beside it.
    assert int(server.cli("DBSIZE")) == 21 + 2 * 2


def test_an_outcome_outlives_an_outage_of_its_store(app, server, tmp_path):
    assert app.send_task("add", (1, 1)).get(timeout=20) == 2
    slow = app.send_task("slow", (0.2,))
    server.kill()
    deadline = time.monotonic() + 20
    while "broker does not answer (store): cannot reach Redis" not in (tmp_path / "worker.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server.start()

    assert slow.get(timeout=20) == "slept"
