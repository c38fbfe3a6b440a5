"""A Django project on PostgreSQL, worked on by a real worker: the bookshop of `examples/django` with an odd app more."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.harness import ROOT
from tests.servers.availability import postgres_home, require
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.skipif(
    find_spec("django") is None or find_spec("psycopg") is None, reason="Django with psycopg is not installed"
)

PROJECT = ROOT / "examples" / "django"
HERE = Path(__file__).parent
ASK = """
import json, sys
import django
django.setup()
from bookshop import celery_app
for line in sys.stdin:
    name, *args = json.loads(line)
    print(json.dumps(celery_app.send_task(name, args).get(timeout=30)), flush=True)
"""
ORDER = """
import django
django.setup()
from django.db import transaction
from orders.models import Order
from orders.tasks import ship
with transaction.atomic():
    order = Order.objects.create(title="{title}")
    ship.delay_on_commit(order.pk)
    {then}
"""


class Site:
    """The project with its database, one worker, and a client that stays."""

    def __init__(self, server: PostgresServer, folder: Path, **environment: str) -> None:
        self.server = server
        self.environment = {
            **os.environ,
            **server.environment,
            **environment,
            "BOOKSHOP_FOLDER": str(folder),
            "DJANGO_SETTINGS_MODULE": "odd.settings",
            "PYTHONPATH": os.pathsep.join((str(HERE), str(PROJECT), str(ROOT / "src"))),
        }
        self.log = folder / "worker.log"
        self._run("manage.py", "migrate", "--verbosity=0")
        worker = ["-m", "leveret.cli", "worker", "-A", "bookshop", "-c", "1", "-l", "info"]
        with self.log.open("ab") as output:
            self._worker = subprocess.Popen(
                [sys.executable, *worker], cwd=PROJECT, env=self.environment, stdout=output, stderr=output
            )
        self._client = subprocess.Popen(
            [sys.executable, "-c", ASK],
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, task: str, *args: Any) -> Any:
        """Send a task and answer its result."""
        assert self._client.stdin is not None and self._client.stdout is not None
        self._client.stdin.write(json.dumps([task, *args]) + "\n")
        self._client.stdin.flush()
        line = self._client.stdout.readline()
        assert line, self.log.read_text()
        return json.loads(line)

    def order(self, title: str, then: str = "pass") -> None:
        self._run("-c", ORDER.format(title=title, then=then))

    def until_shipped(self, count: int) -> None:
        deadline = time.monotonic() + 60
        while self.ask("orders.tasks.count", "shipped") != count:
            assert time.monotonic() < deadline, self.log.read_text()

    def close(self) -> None:
        for process in (self._worker, self._client):
            process.terminate()
        for process in (self._worker, self._client):
            process.wait(30)

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            [sys.executable, *command], cwd=PROJECT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with _opened(tmp_path_factory.mktemp("bookshop")) as site:
        yield site


@contextmanager
def _opened(folder: Path, **environment: str) -> Iterator[Site]:
    require(postgres_home)
    server = PostgresServer().start()
    site = Site(server, folder, **environment)
    try:
        yield site
    finally:
        site.close()
        server.stop()


def test_a_task_is_sent_with_the_commit_and_not_without(site: Site) -> None:
    site.order("Watership Down")
    site.order("Momo", then="transaction.set_rollback(True)")
    site.until_shipped(1)

    assert site.ask("orders.tasks.count", "placed") == 0


def test_a_connection_that_an_app_opened_at_start_is_not_shared_by_fork(site: Site) -> None:
    process, _ = site.ask("odd.tasks.backend")

    log = site.log.read_text()
    assert "what a fork would break" not in log
    # Forked, not spawned: its parent is the process that imported Django.
    assert Path(f"/proc/{process}/cmdline").read_bytes() == Path(f"/proc/{_parent(process)}/cmdline").read_bytes()


def test_a_kept_connection_serves_the_next_task(site: Site) -> None:
    assert site.ask("odd.tasks.backend") == site.ask("odd.tasks.backend")


def test_the_database_restarts_between_two_tasks(site: Site) -> None:
    process, backend = site.ask("odd.tasks.backend")
    site.server.restart()

    after, other = site.ask("odd.tasks.backend")

    assert after == process, "the same worker process"
    assert other != backend


def test_the_database_restarts_between_two_coroutines(site: Site) -> None:
    process, _ = site.ask("odd.tasks.backend_of_a_coroutine")
    site.server.restart()

    assert site.ask("odd.tasks.backend_of_a_coroutine")[0] == process


def test_a_pool_of_connections_is_not_shared_by_fork_and_survives_a_restart(tmp_path: Path) -> None:
    with _opened(tmp_path, ODD_POOL="1") as site:
        process, _ = site.ask("odd.tasks.backend")
        site.server.restart()

        assert [site.ask(f"odd.tasks.{name}")[0] for name in ("backend", "backend_of_a_coroutine")] == [process] * 2
        assert "what a fork would break" not in site.log.read_text()


def test_a_coroutine_leaves_no_connection_behind(site: Site) -> None:
    before = site.ask("odd.tasks.connected")
    for _ in range(3):
        site.ask("odd.tasks.backend_of_a_coroutine")

    assert site.ask("odd.tasks.connected") <= before


def test_a_transaction_that_a_task_left_open_is_not_the_next_ones(site: Site) -> None:
    site.ask("odd.tasks.leave_a_transaction_open")

    assert site.ask("odd.tasks.in_a_transaction") is False


def test_the_worker_still_logs_after_django_set_up_its_logging(site: Site) -> None:
    site.ask("odd.tasks.with_a_broken_hook")

    assert "a hook's own error" in site.log.read_text()


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()[1])
