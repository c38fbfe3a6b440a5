"""`leveret migrate celery --check` on a real Django project on Celery: what it finds, and that it changes nothing."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.harness import ROOT

from leveret.config.table import ROWS

pytestmark = pytest.mark.skipif(find_spec("django") is None, reason="Django is not installed")

Found = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("celery") / "project"
    shutil.copytree(
        Path(__file__).parent / "celery_project", made, ignore=shutil.ignore_patterns("__pycache__", ".leveret")
    )
    return made


@pytest.fixture(scope="module")
def found(project: Path) -> Found:
    before = _fingerprint(project)
    findings = json.loads(_check(project, "--json"))["findings"]
    assert _fingerprint(project) == before
    return {finding["name"]: finding for finding in findings}


@pytest.mark.parametrize(
    ("name", "mark", "says"),
    [
        ("task_time_limit = 60", "works", ""),
        ("broker_url = 'amqp://shop:**@mq1/shop'", "works differently", ""),
        ("result_backend = 'django-db'", "not yet", "django-celery-results"),
        ("broker_transport_options = {'visibility_timeout': 3600}", "works differently", "remove visibility_timeout"),
        ("worker_state_db = '/var/lib/shop/state'", "not needed here", "remove it"),
        ("CELERY_WORKER_MAX_TASKS_PER_CHILDREN", "works differently", "worker_max_tasks_per_child"),
        ("task_queues = ['Queue(celery)', 'Queue(slow)']", "works", ""),
        ("task_acks_late", "works differently", "at most once"),
        ("orders.tasks.remind", ROWS["task_default_rate_limit"].mark.value, "rate_limit"),
        ("from celery import Celery", "works", "from leveret.celery import Celery"),
        ("from celery.utils.log import get_task_logger", "works", "from leveret.celery.utils.log import"),
        ("from kombu import Queue", "works", "from leveret import Queue"),
        ("from celery.bootsteps import StartStopStep", "not yet", "app.lifespan"),
        ("class Traced: apply_async", "works differently", "do not call it"),
        ("apply_async(producer=)", "not needed here", "remove it"),
        ("apply_async(tenant=)", "works differently", "headers"),
        ("apply_async(eta=<naive>)", "works differently", "timezone.utc"),
        ("app.amqp", "not yet", "queues and routes are settings"),
        ("celery worker", "works", "leveret worker"),
        ("-P gevent", "works differently", "-P asyncio"),
        ("--without-gossip", "not needed here", "gossip"),
        ("celery multi", "not yet", "systemd"),
    ],
)
def test_a_setting_or_a_use_is_answered_for(found: Found, name: str, mark: str, says: str) -> None:
    finding = next((one for key, one in found.items() if key.startswith(name)), None)

    assert finding is not None, sorted(found)
    assert finding["mark"] == mark
    assert says in f"{finding['note']} {finding['change']}"


def test_a_use_says_where_it_is(found: Found) -> None:
    assert found["apply_async(eta=<naive>)"]["places"] == ["orders/views.py:11"]
    assert found["-P gevent"]["places"] == ["Procfile:1"]
    assert found["worker_state_db = '/var/lib/shop/state'"]["places"] == ["django.conf:settings"]


def test_people_get_what_needs_a_hand_first(project: Path) -> None:
    said = _check(project)

    assert said.index("not yet:") < said.index("works differently:") < said.index("works:")
    assert "nothing was changed" in said and "secret" not in said


def test_an_app_of_ours_and_no_app_are_told_apart_from_celerys(project: Path, tmp_path: Path) -> None:
    (tmp_path / "ours.py").write_text("from leveret import Leveret\napp = Leveret('ours', broker='memory://ours')\n")

    assert "a Leveret app already" in _check(tmp_path, "-A", "ours:app", app=None)
    without = _check(project, app=None)
    assert "only the files were read" in without
    assert "CELERY_WORKER_STATE_DB" in without, "settings that are written out are found all the same"


def _check(folder: Path, *options: str, app: str | None = "shop") -> str:
    named = ["-A", app] if app else []
    done = subprocess.run(
        [sys.executable, "-m", "leveret.cli", "migrate", "celery", "--check", *named, *options],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
