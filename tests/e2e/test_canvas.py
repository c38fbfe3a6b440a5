"""Chords on servers: on Redis alone, on RabbitMQ with a store apart from it, and over rpc:// nowhere."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.fixtures import own_redis, rabbit, rabbit_vhost  # noqa: F401 - fixtures
from tests.servers.rabbit.remote import Vhost

from leveret import Leveret, chain, chord, group
from leveret.errors import ChordError, ImproperlyConfigured

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="starts and signals real processes")

MODULE = """
import json, os
from leveret import Leveret, chain, group
broker, backend, told = json.loads(os.environ["CANVAS_WHERE"])
app = Leveret("canvas", broker=broker, backend=backend)

@app.task(name="add")
def add(x, y=0): return x + y

@app.task(name="total")
def total(values, plus=0): return sum(values) + plus

@app.task(name="same")
def same(value): return value

@app.task(name="fail")
def fail(*values): raise ValueError("as planned")

@app.task(name="instead", bind=True)
def instead(self, n): return self.replace(group(add.s(n, k) for k in range(3)) | total.s())

@app.task(name="page", bind=True)
def page(self, n):
    if n < 20:
        self.add_to_chord(page.s(n + 1))
        self.add_to_chord(add.s(100, n), lazy=True).delay()
    return n

@app.task(name="tell")
def tell(request, error, traceback):
    with open(told, "a") as file:
        file.write(f"{request.id} {error!r}\\n")
"""


@pytest.fixture(params=["redis", "rabbitmq and sqlite", "rabbitmq and redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The URLs of broker and store."""
    if request.param == "rabbitmq and sqlite":
        return request.getfixturevalue("rabbit_vhost").url, f"sqlite:///{tmp_path}/results.db"
    server = request.getfixturevalue("own_redis")
    broker = server if request.param == "redis" else request.getfixturevalue("rabbit_vhost")
    return broker.url, server.url


@pytest.fixture
def app(tmp_path: Path, place: tuple[str, str]) -> Iterator[Leveret]:
    (tmp_path / "canvas_tasks.py").write_text(MODULE)
    log = (tmp_path / "worker.log").open("w")
    broker, store = place
    where = json.dumps([broker, store, str(tmp_path / "told")])
    worker = subprocess.Popen(
        [sys.executable, "-m", "leveret.cli", "worker", "-A", "canvas_tasks:app", "-c", "2"],
        cwd=tmp_path,
        env={**os.environ, "CANVAS_WHERE": where, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    app = Leveret("canvas", broker=broker, backend=store)
    yield app
    app.close()
    worker.send_signal(signal.SIGTERM)
    try:
        worker.wait(20)
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
        log.close()


def test_workflows_run(app: Leveret, tmp_path: Path) -> None:
    def s(name: str, *args: Any, **kwargs: Any) -> Any:
        return app.signature(name, args=args, kwargs=kwargs)

    wide = chord([s("add", n, n) for n in range(100)], s("total")).apply_async()
    deep = (s("add", 1, 1) | group(s("add", 1), s("add", 2)) | s("total") | s("add", 5)).apply_async()
    nested = chord(
        [chord([s("add", 1), s("add", 2)], s("total")), s("add", 1) | group(s("add", 1), s("add", 2))], s("same")
    )
    replaced = chord([s("instead", 1), s("add", 9)], s("same")).apply_async()
    growing = chord([s("add", 1, 1), s("page", 0)], s("total")).apply_async()
    failing = chord([s("add", 1), s("fail"), s("fail")], s("total").on_error(s("tell"))).apply_async()

    assert wide.get(timeout=30) == 9900
    assert deep.get(timeout=30) == 12
    assert nested.apply_async().get(timeout=30) == [3, [2, 3]]
    assert replaced.get(timeout=30) == [6, 9]
    assert growing.get(timeout=30) == 2 + sum(range(21)) + sum(100 + n for n in range(20))
    with pytest.raises(ChordError, match="as planned"):
        failing.get(timeout=30)
    assert chain(s("add", 1), s("add", 2)).apply_async().get(timeout=30) == 3
    told = (tmp_path / "told").read_text().splitlines()
    told_of = [line.split()[0] for line in told]
    # Two members failed; RabbitMQ knows no door, and the store's ledger stops the second.
    assert told_of == [failing.id]
    assert "ERROR" not in _unexpected((tmp_path / "worker.log").read_text())


def _unexpected(log: str) -> str:
    return "\n".join(line for line in log.splitlines() if "Task fail[" not in line)


def test_over_rpc_a_chord_is_refused(rabbit_vhost: Vhost) -> None:  # noqa: F811
    app = Leveret("canvas", broker=rabbit_vhost.url, set_as_current=False)

    with pytest.raises(ImproperlyConfigured, match="result_backend"):
        chord([app.signature("add", args=(1,))], app.signature("total")).apply_async()
