"""`leveret schedule` and `leveret beat`: words for people, JSON for programs, one line per error."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from leveret.cli.node.beat import decide
from leveret.cli.node.plan import Plan
from leveret.config.settings import Settings
from leveret.model.schedules.entry import Entry
from leveret.model.schedules.timing import Every

BEAT = """
app.conf.timezone = "Asia/Seoul"
app.conf.beat_schedule = {"report": {"task": "add", "schedule": "0 9 * * mon-fri", "args": (1,)}}
"""


@pytest.fixture
def name(module, project):
    (project / ".leveret").mkdir()
    return module(BEAT)


@pytest.fixture
def beat(project):
    """Start `leveret beat`; it is stopped in the end."""
    started = []

    def start(*words: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "leveret.cli", *words]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command, cwd=project, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_what_the_code_defines_is_listed_before_a_scheduler_has_run(leveret, name):
    answer = leveret("-A", name, "schedule", "list")

    assert answer.code == 0, answer.err
    assert "report: at 09:00 on weekdays, Asia/Seoul; comes into the store when a scheduler starts" in answer.out
    assert "09:00:00 +0900" in leveret("-A", name, "schedule", "next", "report", "2").out


def test_entries_are_added_edited_paused_run_and_deleted(leveret, name):
    said = leveret(
        "-A", name, "schedule", "add", "own", "add", "--cron", "30 7 * * *", "--args", "[1, 2]", "--queue", "q"
    )
    assert (said.code, said.out) == (0, "own: at 07:30 every day, Asia/Seoul\n"), said.err
    assert leveret("-A", name, "schedule", "edit", "own", "--every", "90").out == "own: every 90 seconds\n"
    assert leveret("-A", name, "schedule", "edit", "own", "--overlap", "skip", "--timezone", "Europe/London").code == 0
    assert leveret("-A", name, "schedule", "pause", "own").out == "paused: own\n"
    (own,) = json.loads(leveret("-A", name, "schedule", "list", "--json").out)
    assert (own["entry"], own["state"], own["overlap"], own["arguments"]) == ("own", "paused", "skip", "1, 2")
    assert leveret("-A", name, "schedule", "resume", "own").code == 0

    key = leveret("-A", name, "schedule", "run", "own").out.strip()

    shown = json.loads(leveret("-A", name, "schedule", "show", "own", "--json").out)
    assert [(run["id"], run["outcome"], run["state"]) for run in shown["runs"]] == [(key, "by hand", "PENDING")]
    assert "by hand" in leveret("-A", name, "schedule", "show", "own").out
    assert leveret("-A", name, "queues", "q", "--json").out.count('"ready": 1') == 1
    assert leveret("-A", name, "schedule", "delete", "own").out == "deleted: own\n"
    assert leveret("-A", name, "schedule", "show", "own").code == 1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("add", "x", "add"), "say when: --every, --cron, --solar or --at"),
        (("add", "x", "add", "--every", "soon"), "--every soon: a number is expected"),
        (("add", "x", "add", "--every", "5", "--cron", "@daily"), "an entry has one of"),
        (("add", "x", "add", "--cron", "61 * * * *"), "minute='61': 61 is not from 0 to 59"),
        (("add", "x", "add", "--solar", "sunset"), "EVENT,LATITUDE,LONGITUDE"),
        (("add", "x", "add", "--at", "tomorrow"), "no time such as"),
        (("add", "x", "add", "--every", "5", "--args", "{}"), "is no JSON list"),
        (("add", "x", "add", "--every", "5", "--args", "[1,2,3]"), "too many positional arguments"),
        (("add", "x", "add", "--every", "5", "--args", "[1]", "--timezone", "Mars"), "'Mars' is no zone"),
        (("edit", "x", "--every", "5"), "no schedule entry 'x'"),
        (("edit", "x"), "say what to change"),
        (("next", "nothing"), "no schedule entry 'nothing'"),
        (("pause", "nothing"), "no schedule entry 'nothing'"),
    ],
)
def test_a_wrong_call_is_one_line(leveret, name, words, error):
    answer = leveret("-A", name, "schedule", *words)

    assert answer.code in (1, 2)
    assert error in answer.err
    assert answer.err.count("\n") == 1


def test_beat_brings_the_entries_and_stops_when_told(leveret, beat, name):
    process = beat("-A", name, "beat", "-l", "INFO")
    assert process.stdout is not None

    first = [process.stdout.readline() for _ in range(3)]

    assert "1 entry of its code" in first[2]
    until(lambda: json.loads(leveret("-A", name, "schedule", "list", "--json").out or "[]"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_beat_needs_a_store_or_is_the_single_one(beat, name):
    alone = beat("-A", name, "-b", "amqp://127.0.0.1:1", "beat")
    assert alone.wait(20) == 1
    assert alone.stderr is not None
    assert "leveret beat --single" in alone.stderr.read()

    single = beat("-A", name, "-b", "amqp://127.0.0.1:1", "beat", "--single")
    assert single.stdout is not None
    assert "memory://single-scheduler" in [single.stdout.readline() for _ in range(3)][2]


def test_a_worker_runs_the_schedule_unless_told_otherwise(leveret, beat, module):
    name = module("app.conf.beat_schedule = {'often': {'task': 'add', 'schedule': 0.2, 'args': (1,)}}\n")
    silent = beat("worker", name, "-c", "1", "--no-beat")
    assert silent.stdout is not None
    while "tasks " not in (line := silent.stdout.readline()):
        assert "schedule" not in line or "not fired by this node" in line
    time.sleep(1.0)
    assert json.loads(leveret("-A", name, "schedule", "list", "--json").out) == []

    beat("worker", name, "-c", "1")

    def states() -> set[str]:
        answer = leveret("-A", name, "schedule", "show", "often", "--json")
        return {run["state"] for run in json.loads(answer.out)["runs"]} if answer.code == 0 else set()

    until(lambda: "SUCCESS" in states())


def test_a_reload_brings_the_schedule_of_the_new_code(leveret, beat, name, project):
    # Nobody asks for the schedule meanwhile: each time would import the app once more, on cores that are imported on.
    log = project / "log"
    process = beat("worker", name, "-c", "1", "-l", "INFO", "--logfile", str(log))

    def entries() -> list[str]:
        return [entry["entry"] for entry in json.loads(leveret("-A", name, "schedule", "list", "--json").out or "[]")]

    until(lambda: log.exists() and "the schedule that the code defines is in the store" in log.read_text(), 60.0)
    assert entries() == ["report"]
    path = project / f"{name}.py"
    path.write_text(path.read_text().replace('"report"', '"summary"'))

    process.send_signal(signal.SIGHUP)

    until(lambda: "the new code's schedule is in the store" in log.read_text(), 60.0)
    assert entries() == ["summary"]


def test_beside_celery_the_schedule_is_left_to_its_beat(beat, name):
    process = beat("worker", name, "-c", "1", "--check")
    assert process.wait(20) == 0

    with open(f"{name}.py", "a") as file:
        file.write("app.conf.profile = 'celery'\n")
    process = beat("worker", name, "-c", "1", "--check")

    assert process.stdout is not None
    assert "schedule entries left to celery beat: 1; -B, or leveret beat, runs them here" in process.stdout.read()


def test_an_entry_whose_task_nobody_here_has_is_named(beat, module):
    name = module(
        "from leveret import group\n"
        "app.conf.beat_schedule = {'often': {'task': 'ad', 'schedule': 5, 'args': (1,)},\n"
        "    'both': {'task': group(add.s(1), add.s(2)), 'schedule': 5}}\n"
    )
    process = beat("worker", name, "-c", "1", "--check")

    assert process.stdout is not None
    told = process.stdout.read()
    assert "entry 'often' sends 'ad', which is no task of this app; did you mean 'add'?" in told
    assert "entry 'both'" not in told, "what begins a composition is in every app"


def decided(asked: bool | None = None, *, count: int = 2, **settings):
    entries = tuple(Entry(name=f"e{n}", task="t", timing=Every(seconds=1.0)) for n in range(count))
    return decide(Plan(app="a:b", entries=entries), Settings(**settings), asked, burst=False)


def test_a_broker_without_a_store_says_at_start_that_schedules_need_one():
    (notice,) = decided(broker_url="amqp://user:secret@localhost").notices

    assert notice.startswith("schedule entries not run: 2; a schedule needs a store that all schedulers share")
    assert "secret" not in notice
    assert decided(broker_url="amqp://localhost", count=0).notices == ()


def test_with_results_in_sqlite_the_schedule_is_kept_there(tmp_path):
    kept = decided(broker_url="amqp://localhost", result_backend=f"sqlite:///{tmp_path}/results.db")

    assert (kept.address, kept.notices) == (f"{tmp_path}/results.db", ())
    assert kept.run is not None
    assert decided(False, broker_url=f"sqlite:///{tmp_path}/queue.db").run is None
    assert decided(True, broker_url=f"sqlite:///{tmp_path}/q.db", profile="celery").run is not None


def until(look, seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end
        time.sleep(0.1)
