"""What is said of names, files and command lines of a program on Celery."""

import sys

import pytest

from leveret.cli.migrating.commands import read_commands
from leveret.cli.migrating.findings import COMMAND, IMPORT, Finding, gathered
from leveret.cli.migrating.names import judge_import
from leveret.cli.migrating.program import check
from leveret.cli.migrating.source import python_files, read_sources
from leveret.config.row import Mark


@pytest.mark.parametrize(
    ("module", "name", "mark", "says"),
    [
        ("celery", "shared_task", Mark.WORKS, "from leveret.celery import shared_task"),
        ("celery", "schedules", Mark.WORKS, "from leveret.celery import schedules"),
        ("celery.result", None, Mark.WORKS, "import leveret.celery.result"),
        ("celery.contrib.django.task", "DjangoTask", Mark.WORKS, "leveret.celery.contrib.django.task"),
        ("kombu.common", "Broadcast", Mark.WORKS, "from leveret import Broadcast"),
        ("celery.result", "nothing_of_the_kind", Mark.NOT_YET, "has no nothing_of_the_kind"),
        ("celery.beat", "Scheduler", Mark.NOT_YET, "app.schedules"),
        ("kombu", "Connection", Mark.NOT_YET, "has its own"),
        ("django_celery_beat.models", "PeriodicTask", Mark.NOT_NEEDED, "leveret schedule"),
    ],
)
def test_a_name_is_looked_for_where_ours_are(module, name, mark, says):
    finding = judge_import(module, name, "here.py:1")

    assert (finding.kind, finding.mark) == (IMPORT, mark)
    assert says in finding.note + finding.change


@pytest.mark.parametrize("module", ["os", "celerymatic", "shop.celery", "django.db"])
def test_what_is_no_part_of_celery_is_passed_over(module):
    assert judge_import(module, "name", "here.py:1") is None


def test_the_same_thing_in_two_places_is_one_finding():
    found = [Finding(kind=IMPORT, name="x", mark=Mark.WORKS, places=(place,)) for place in ("a:1", "b:2", "a:1")]

    assert [one.places for one in gathered(found)] == [("a:1", "b:2")]


def test_only_the_program_s_own_files_are_read(tmp_path):
    for path in ("shop/tasks.py", "env/lib/x.py", ".tox/x.py", "shop/migrations/0001.py", "node_modules/x.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("import celery\n")
    (tmp_path / "env" / "pyvenv.cfg").touch()

    assert [str(path.relative_to(tmp_path)) for path in python_files(tmp_path)] == ["shop/tasks.py"]


def test_a_file_that_is_no_python_is_passed_over(tmp_path):
    (tmp_path / "old.py").write_text("print 'two'\n")
    (tmp_path / "odd.py").write_bytes(b"\x00\xff")
    (tmp_path / "new.py").write_text("from celery import chain\n")

    assert [one.name for one in read_sources(tmp_path)] == ["from celery import chain"]


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("Procfile", "worker: celery -A shop worker -P gevent", {"celery worker", "-P gevent"}),
        ("start.sh", "exec celery \\\n  -A shop worker \\\n  --pool=eventlet", {"celery worker", "--pool eventlet"}),
        ("compose.yml", 'command: ["celery", "-A", "shop", "beat"]', {"celery beat"}),
        ("shop.service", "ExecStart=/venv/bin/celery -A shop worker --uid=5", {"celery worker", "--uid"}),
        ("Makefile", "pip install celery redis", set()),
    ],
)
def test_command_lines_are_found_in_a_project_s_other_files(tmp_path, file, text, expected):
    (tmp_path / file).write_text(text + "\n")
    found = list(read_commands(tmp_path))

    assert {one.kind for one in found} <= {COMMAND}
    assert {one.name for one in found} == expected


def test_without_celery_the_files_are_read_all_the_same(project, monkeypatch):
    (project / "settings.py").write_text("CELERY_TASK_TIME_LIMIT = 60\n")
    monkeypatch.setitem(sys.modules, "celery.app.utils", None)

    findings, remarks = check("shop")

    assert ["Celery is not installed" in remark for remark in remarks] == [True]
    assert [(one.name, one.mark) for one in findings] == [("CELERY_TASK_TIME_LIMIT", Mark.WORKS)]
