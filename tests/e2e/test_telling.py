"""A whole node, by its app's own signals and by what watchers hear: on SQLite, with real processes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leveret import Leveret

ROOT = Path(__file__).parents[2]
APP = '''
import asyncio, json, os, time
from leveret import Leveret, signals
from leveret.errors import Cancel
app = Leveret("told", broker=f"sqlite:///{os.environ['FOLDER']}/queue.db", worker_send_task_events=True)

def note(name, **facts):
    line = json.dumps({"name": name, "pid": os.getpid(), **facts}).encode() + b"\\n"
    handle = os.open(os.environ["FOLDER"] + "/notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, line)
    os.close(handle)

NAMES = """celeryd_init celeryd_after_setup worker_init worker_process_init worker_process_shutdown worker_ready
worker_shutting_down worker_shutdown after_setup_logger import_modules task_received task_revoked task_unknown
task_prerun task_postrun heartbeat_sent worker_before_create_process task_internal_error""".split()
SHOWN = ("terminated", "signum", "expired")
for each in NAMES:
    getattr(signals, each).connect(
        lambda each=each, **named: note(
            each, given=sorted(set(named) - {"signal"}), **{name: named[name] for name in SHOWN if name in named}
        ),
        weak=False,
    )

@app.add_worker_part
class Part:
    def start(self):
        note("part start")

    def quiet(self):
        note("part quiet")

    def stop(self):
        note("part stop")

@app.task
def add(a, b):
    return a + b

@app.task
def sleepy():
    note("began")
    for _ in range(6000):
        time.sleep(0.01)

@app.task
async def asleepy():
    note("began")
    await asyncio.sleep(60)

@app.task
def gives_up():
    raise Cancel("no more")
'''


class Node:
    def __init__(self, folder: Path, *options: str) -> None:
        (folder / "told.py").write_text(APP)
        self.folder = folder
        self.environment = {**os.environ, "FOLDER": str(folder), "PYTHONPATH": f"{folder}:{ROOT / 'src'}"}
        self.log = folder / "log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "leveret.cli", "-A", "told", "worker", "-c", "2", "-n", "told@node", *options],
                cwd=folder,
                env=self.environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.app = Leveret("told", broker=f"sqlite:///{folder}/queue.db", set_as_current=False)

    def notes(self, name: str) -> list[dict[str, Any]]:
        file = self.folder / "notes"
        lines = map(json.loads, file.read_text().splitlines()) if file.exists() else ()
        return [line for line in lines if line["name"] == name]

    def until(self, true: Any, timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while not true():
            assert time.monotonic() < deadline, self.log.read_text() + (self.folder / "notes").read_text()
            time.sleep(0.02)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    if node.process.poll() is None:
        os.killpg(node.process.pid, signal.SIGKILL)
    node.process.wait()


def test_a_nodes_signals_are_sent_where_its_app_is(node: Node) -> None:
    node.until(lambda: node.notes("worker_ready"))
    children = {note["pid"] for note in node.notes("worker_process_init")}
    assert len(children) == 2 and node.process.pid not in children
    # Before each fork, where the app was imported and is forked from.
    forked = node.notes("worker_before_create_process")
    assert len(forked) == 2 and len({note["pid"] for note in forked} - children) == 1
    for name, given in {
        "celeryd_init": ["conf", "instance", "options", "sender"],
        "celeryd_after_setup": ["conf", "instance", "sender"],
        "worker_init": ["sender"],
        "after_setup_logger": ["colorize", "format", "logfile", "logger", "loglevel", "sender"],
    }.items():
        notes = node.notes(name)
        assert {note["pid"] for note in notes} == children and notes[0]["given"] == given, name
    assert node.notes("import_modules")

    assert node.app.send_task("told.add", (1, 2)).get(timeout=30) == 3
    node.app.send_task("told.add", (1, 2), expires=-1)
    node.app.send_task("told.unknown")
    node.until(lambda: node.notes("task_revoked") and node.notes("task_unknown"))
    assert node.notes("task_revoked")[0]["given"] == ["expired", "request", "sender", "signum", "terminated"]
    assert node.notes("task_unknown")[0]["given"] == ["exc", "id", "message", "name", "sender"]
    assert node.notes("task_received")[0]["given"] == ["request", "sender"]
    assert len(node.notes("task_prerun")) == len(node.notes("task_postrun")) == 1
    node.until(lambda: node.notes("heartbeat_sent"))
    assert {note["pid"] for note in node.notes("heartbeat_sent")} == {node.notes("worker_ready")[0]["pid"]}

    node.process.terminate()
    assert node.process.wait(20) == 0
    for once in ("worker_ready", "worker_shutting_down", "worker_shutdown"):
        assert len(node.notes(once)) == 1, once
    assert {note["pid"] for note in node.notes("worker_process_shutdown")} == children
    for step in ("part start", "part quiet", "part stop"):
        assert {note["pid"] for note in node.notes(step)} == children and len(node.notes(step)) == 2, step
    assert node.notes("worker_shutting_down")[0]["given"] == ["exitcode", "how", "sender", "sig"]


def test_watchers_hear_a_node_from_its_first_word_to_its_last(node: Node) -> None:
    heard: list[dict[str, Any]] = []
    over = threading.Event()

    def take(event: dict[str, Any]) -> None:
        heard.append(event)
        if event["type"] == "worker-offline":
            receiver.should_stop = True
            over.set()

    with node.app.connection() as connection:
        receiver = node.app.events.Receiver(connection, handlers={"*": take})
        thread = threading.Thread(target=receiver.capture, daemon=True)
        thread.start()
        node.until(lambda: any(event["type"].startswith("worker-") for event in heard))
        for number in range(50):
            node.app.send_task("told.add", (number, 1))
        node.until(lambda: sum(event["type"] == "task-succeeded" for event in heard) == 50)
        node.process.terminate()
        assert node.process.wait(20) == 0
        assert over.wait(5)
        thread.join(5)

    state = node.app.events.State()
    for event in heard:
        state.event(event)
    assert {task.state for task in state.tasks.values()} == {"SUCCESS"} and len(state.tasks) == 50
    last = next(event for event in heard if event["type"] == "worker-offline")
    assert (last["hostname"], last["processed"], last["active"]) == ("told@node", 50, 0)
    assert not list((node.folder / "queue.db-watchers").iterdir())


@pytest.mark.parametrize(
    ("pool", "task", "signal_name", "signum"),
    [("prefork", "sleepy", "SIGKILL", 9), ("threads", "sleepy", "TERM", 15), ("asyncio", "asleepy", "SIGTERM", 15)],
)
def test_what_is_terminated_is_told_with_its_signal(
    tmp_path: Path, pool: str, task: str, signal_name: str, signum: int
) -> None:
    node = Node(tmp_path, "-P", pool)
    events: list[dict[str, Any]] = []
    try:
        node.until(lambda: node.notes("worker_ready"))
        with node.app.connection() as connection:
            receiver = node.app.events.Receiver(connection, handlers={"task-revoked": events.append})
            thread = threading.Thread(target=receiver.capture, daemon=True)
            thread.start()
            ended = node.app.send_task(f"told.{task}")
            node.until(lambda: node.notes("began"))
            with pytest.raises(ValueError, match="'SIGTREM' is no signal"):
                node.app.control.terminate(ended.id, signal="SIGTREM")
            node.app.control.terminate(ended.id, signal=signal_name)
            node.until(lambda: node.notes("task_revoked") and events)
            gave_up = node.app.send_task("told.gives_up")
            node.until(lambda: len(node.notes("task_revoked")) == 2 and len(events) == 2)
            receiver.should_stop = True
            thread.join(5)
    finally:
        os.killpg(node.process.pid, signal.SIGKILL)
        node.process.wait()

    # One that gives up by itself was not terminated by anybody.
    told = {"terminated": True, "signum": signum, "expired": False}
    alone = {"terminated": False, "signum": None, "expired": False}
    assert [{name: note[name] for name in told} for note in node.notes("task_revoked")] == [told, alone]
    assert [(event["uuid"], {name: event[name] for name in told}) for event in events] == [
        (ended.id, told),
        (gave_up.id, alone),
    ]
    assert ended.state == gave_up.state == "REVOKED"


def test_the_dump_is_a_line_for_each_event(node: Node) -> None:
    dump = subprocess.Popen(
        [sys.executable, "-m", "leveret.cli", "-A", "told", "events", "--dump"],
        cwd=node.folder,
        env=node.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert dump.stdout is not None
        assert "told@node" in dump.stdout.readline()
        node.app.send_task("told.add", ("a\x1b[31m", "b"))
        line = next(line for line in dump.stdout if "succeeded" in line)
        assert "task succeeded told.add(" in line and "\x1b" not in line
    finally:
        dump.kill()
        dump.communicate()
