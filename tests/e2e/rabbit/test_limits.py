"""Limits on RabbitMQ: kept where the results are; without a store refused by name, all but a node's rate limit."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.limits.field import most_at_once, most_in
from tests.servers.fixtures import own_redis  # noqa: F401 - fixture
from tests.servers.rabbit.remote import Vhost

from leveret import Leveret

APP = """
import time
from leveret import Concurrency, Leveret, Rate
app = Leveret("tasks", broker=URL, backend=RESULTS)

def note(*facts):
    with open("notes", "a") as file:
        file.write(" ".join(map(str, facts)) + "\\n")

@app.task(name="tasks.paced", rate_limit="20/s")
def paced():
    note("paced", time.time())
"""
LIMITED = """
@app.task(name="tasks.few", limits=Concurrency(2))
def few():
    began = time.time()
    time.sleep(0.1)
    note("few", began, time.time())

@app.task(name="tasks.rated", limits=Rate("50/s"))
def rated():
    note("rated", time.time())

@app.task(name="tasks.once", unique_for=60)
def once(number):
    return number
"""


@contextmanager
def worker(folder: Path, name: str, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-m", "leveret.cli", "-A", "tasks", "worker", "-n", f"{name}@limits", *words]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stderr=log, stdout=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def prepare(folder: Path, url: str, results: str, tasks: str) -> Leveret:
    (folder / "tasks.py").write_text(f"URL, RESULTS = {url!r}, {results!r}\n{tasks}")
    (folder / "pyproject.toml").write_text("")
    (folder / "notes").touch()
    app = Leveret("tasks", broker=url, backend=results, set_as_current=False)

    @app.task(name="tasks.once", unique_for=60)
    def once(number: int) -> int:
        return number

    return app


def notes(folder: Path, kind: str) -> list[list[float]]:
    lines = [line.split() for line in (folder / "notes").read_text().splitlines()]
    return [[float(word) for word in words] for name, *words in lines if name == kind]


def until(true: Any, seconds: float, folder: Path) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, (folder / "log").read_text()[-3000:]
        time.sleep(0.05)


@pytest.mark.chaos
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_limits_hold_by_the_store_of_the_results(
    rabbit_vhost: Vhost, tmp_path: Path, request: pytest.FixtureRequest, store: str
) -> None:
    results = request.getfixturevalue("own_redis").url if store == "redis" else f"sqlite:///{tmp_path}/results.db"
    app = prepare(tmp_path, rabbit_vhost.url, results, APP + LIMITED)
    with worker(tmp_path, "a", "-c", "3"), worker(tmp_path, "b", "-c", "3"):
        once = app.tasks["tasks.once"]
        first, second = once.delay(1), once.delay(1)
        app.send_many([app.signature("tasks.few") for _ in range(40)])
        app.send_many([app.signature("tasks.rated") for _ in range(100)])
        until(lambda: len(notes(tmp_path, "few")) == 40 and len(notes(tmp_path, "rated")) == 100, 40.0, tmp_path)
        assert first.id == second.id
        assert first.get(timeout=20) == 1
        assert once.delay(1).id != first.id
    app.close()

    assert most_at_once((began, ended) for began, ended in notes(tmp_path, "few")) == 2
    assert most_in(sorted(at for (at,) in notes(tmp_path, "rated")), 1.0) <= 55


@pytest.mark.chaos
def test_without_a_store_a_node_says_what_it_cannot_keep_and_keeps_rate_limits(
    rabbit_vhost: Vhost, tmp_path: Path
) -> None:
    app = prepare(tmp_path, rabbit_vhost.url, "rpc://", APP + LIMITED)
    with worker(tmp_path, "a", "-c", "1") as process:
        assert process.wait(30) != 0
    said = (tmp_path / "log").read_text()
    assert "tasks.few (limits)" in said
    assert "tasks.once (unique_for)" in said
    assert "result_backend" in said
    with pytest.raises(Exception, match="tasks.once is unique"):
        app.tasks["tasks.once"].delay(1)

    (tmp_path / "tasks.py").write_text(f"URL, RESULTS = {rabbit_vhost.url!r}, 'rpc://'\n{APP}")
    with worker(tmp_path, "a", "-c", "2"):
        app.send_many([app.signature("tasks.paced", ignore_result=True) for _ in range(40)])
        until(lambda: len(notes(tmp_path, "paced")) == 40, 30.0, tmp_path)
    app.close()
    starts = sorted(at for (at,) in notes(tmp_path, "paced"))
    assert most_in(starts, 1.0) <= 24
