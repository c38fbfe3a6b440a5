"""Celery's own tools steer our nodes, and ours a Celery worker; what a node answers has a Celery worker's form."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.interop.control.conftest import CELERY, OUR_QUEUE, OURS, ROOT, THEIR_QUEUE, THEIRS
from tests.interop.sides.processes import until
from tests.interop.sides.sites import Site

from leveret import Leveret

GOLDEN: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "control.json").read_text(encoding="utf-8")
)


def store_of(site: Site) -> str:
    return site.stores["same" if site.kind == "redis" else "redis"]


def ask(site: Site, command: str, node: str = OURS, **arguments: Any) -> Any:
    """By Celery's client; the node's answer alone."""
    app = site.client("celery")
    found = app.control.broadcast(command, arguments=arguments, destination=[node], reply=True, timeout=10, limit=1)
    return found[0][node]


def shape(value: Any) -> Any:
    """Keys and types; of a list that of its first. A number is a number, and what may be null is anything."""
    match value:
        case bool() | None:
            return type(value).__name__
        case int() | float():
            return "number"
        case dict():
            return {key: shape(part) for key, part in value.items()}
        case list():
            return [shape(value[0])] if value else []
        case _:
            return type(value).__name__


def agree(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Where two shapes differ; null agrees with all."""
    if "NoneType" in (ours, theirs):
        return []
    if isinstance(ours, dict) and isinstance(theirs, dict):
        wrong = [f"{where}: keys {sorted(ours.keys() ^ theirs.keys())}"] if ours.keys() != theirs.keys() else []
        return wrong + [line for key in ours.keys() & theirs.keys() for line in agree(ours[key], theirs[key], key)]
    if isinstance(ours, list) and isinstance(theirs, list):
        return agree(ours[0], theirs[0], f"{where}[]") if ours and theirs else []
    return [] if ours == theirs else [f"{where}: {ours} for {theirs}"]


@pytest.fixture
def running(site: Site, tmp_path: Path) -> Any:
    """Two tasks that run until the test ends, and one behind them."""
    gate = tmp_path / "gate"
    # Ours: what a foreign client sends is seen by one idle process at once, by the others within seconds.
    app = site.another_client("leveret", INTEROP_BACKEND=store_of(site))
    tasks = [app.send_task("interop.progress", (str(gate),), queue=OUR_QUEUE) for _ in range(2)]
    until(lambda: len(ask(site, "active")) == 2, 20)
    yield tasks
    gate.touch()
    until(lambda: not ask(site, "active"), 20)


def test_every_question_is_answered_in_a_celery_workers_form(site: Site, running: Any) -> None:
    golden = GOLDEN[site.kind]
    ids = [task.id for task in running]
    later = site.another_client("leveret", INTEROP_BACKEND=store_of(site)).send_task(
        "interop.add", (1, 2), queue=OUR_QUEUE, countdown=600
    )

    questions: dict[str, tuple[str, dict[str, Any]]] = {
        "ping": ("ping", {}),
        "active": ("active", {}),
        "reserved": ("reserved", {}),
        "scheduled": ("scheduled", {}),
        "registered": ("registered", {}),
        "stats": ("stats", {}),
        "active_queues": ("active_queues", {}),
        "report": ("report", {}),
        "clock": ("clock", {}),
        "memsample": ("memsample", {}),
        "hello": ("hello", {"from_node": "other@host", "revoked": []}),
        "revoked": ("revoked", {}),
        "unknown": ("no_such_command", {}),
    }
    for name, (command, arguments) in questions.items():
        answer = ask(site, command, **arguments)
        theirs = {**golden[name], "total": {}} if name == "stats" else golden[name]
        ours = {**answer, "total": {}} if name == "stats" else answer
        assert agree(shape(ours), shape(theirs)) == [], name
    assert ask(site, "no_such_command") == golden["unknown"]
    # RabbitMQ's ladder of delays cannot be looked through.
    scheduled = [one["request"]["id"] for one in ask(site, "scheduled")]
    assert scheduled == ([later.id] if site.kind == "redis" else [])
    queried = ask(site, "query_task", ids=[*ids, "unknown"])
    assert sorted(queried) == sorted(ids)
    assert {state for state, _ in queried.values()} == {"active"}
    recorded = next(one for one in golden["query_task"].values() if one[0] == "active")
    assert agree(shape(queried[ids[0]][1]), shape(recorded[1])) == []


def test_the_answers_are_true(site: Site, running: Any) -> None:
    node = next(worker for worker in site.workers() if worker.name == "ours")
    ids = {task.id for task in running}

    active, stats = ask(site, "active"), ask(site, "stats")

    assert {one["id"] for one in active} == ids
    assert {one["worker_pid"] for one in active} == set(stats["pool"]["processes"])
    assert stats["pid"] == node.process.pid
    assert stats["pool"]["max-concurrency"] == 2
    assert stats["total"]["interop.progress"] >= 2
    assert all(abs(time.time() - one["time_start"]) < 60 for one in active)
    assert [queue["name"] for queue in ask(site, "active_queues")] == [OUR_QUEUE]
    assert "interop.add" in ask(site, "registered")
    assert any("max_retries=5" in one for one in ask(site, "registered", taskinfoitems=["max_retries"]))
    assert ask(site, "conf")["worker_concurrency"] == 2
    stacks = [slot for slots in ask(site, "stack").values() for slot in slots]
    assert {slot["id"] for slot in stacks} == ids
    assert all("in progress" in slot["lines"][-1] for slot in stacks)


def test_commands_answer_as_celerys_do_and_do_what_they_say(site: Site) -> None:
    golden = GOLDEN[site.kind]
    said = {
        "time_limit": {"task_name": "interop.add", "soft": 1.0, "hard": 2.0},
        "rate_limit": {"task_name": "interop.add", "rate_limit": "10/m"},
        "enable_events": {},
        "disable_events": {},
        "heartbeat": {},
        "autoscale": {"max": 3, "min": 1},
        "pool_restart": {},
    }

    assert {name: ask(site, name, **arguments) for name, arguments in said.items()} == {
        name: golden[name] for name in said
    }
    assert ask(site, "enable_events") == golden["enable_events"]
    assert ask(site, "enable_events") == golden["enable_events again"]
    assert ask(site, "disable_events") == golden["disable_events"]
    assert ask(site, "time_limit", task_name="nobody", soft=1) == golden["time_limit unknown"]
    assert ask(site, "rate_limit", task_name="nobody", rate_limit="1/s") == golden["rate_limit unknown"]
    assert ask(site, "rate_limit", task_name="interop.add", rate_limit="often") == golden["rate_limit wrong"]
    assert "interop.add [rate_limit=10/m]" in ask(site, "registered")
    assert ask(site, "pool_grow", n=1) == golden["pool_grow"]
    until(lambda: len(ask(site, "stats")["pool"]["processes"]) == 3, 20)
    assert ask(site, "pool_shrink", n=1) == {"ok": "pool will shrink"}
    until(lambda: len(ask(site, "stats")["pool"]["processes"]) == 2, 20)
    assert ask(site, "rate_limit", task_name="interop.add", rate_limit="0") == golden["rate_limit off"]


def test_a_node_takes_up_a_queue_and_lets_it_go(site: Site) -> None:
    app = site.another_client("celery", INTEROP_BACKEND=store_of(site))
    assert ask(site, "add_consumer", queue="more") == {"ok": "add consumer more"}

    assert app.send_task("interop.only.leveret", queue="more").get(timeout=20) == "leveret"

    assert ask(site, "cancel_consumer", queue="more") == {"ok": "no longer consuming from more"}
    until(lambda: [queue["name"] for queue in ask(site, "active_queues")] == [OUR_QUEUE], 20)


def test_a_new_time_limit_ends_a_run(site: Site) -> None:
    app = site.another_client("celery", INTEROP_BACKEND=store_of(site))
    ask(site, "time_limit", task_name="interop.sleep", hard=0.2, soft=None)

    result = app.send_task("interop.sleep", (30,), queue=OUR_QUEUE)

    with pytest.raises(Exception, match="TimeLimitExceeded"):
        result.get(timeout=20)
    ask(site, "time_limit", task_name="interop.sleep", hard=None, soft=None)


def test_celerys_command_line_steers_our_nodes(site: Site, running: Any) -> None:
    def call(*words: str) -> str:
        command = [*CELERY, "-b", site.broker_url, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert f"{OURS}: OK" in call("inspect", "ping")
    assert len(json.loads(call("inspect", "active", "-j", "-d", OURS))[OURS]) == 2
    assert "terminate" in call("control", "-d", OURS, "terminate", "KILL", running[0].id)
    until(lambda: running[0].state == "REVOKED", 20)


def test_our_command_line_steers_a_celery_worker(site: Site) -> None:
    assert f"->  {THEIRS}: OK" in site.operate("inspect", "ping")
    assert json.loads(site.operate("inspect", "ping", "-j", "-d", THEIRS)) == {THEIRS: {"ok": "pong"}}
    assert THEIR_QUEUE in site.operate("inspect", "active_queues", "-d", THEIRS)
    assert "new rate limit set" in site.operate("control", "-d", THEIRS, "rate_limit", "interop.add", "5/s")
    assert "add consumer" in site.operate("control", "-d", THEIRS, "add_consumer", "theirs-too")
    assert "theirs-too" in site.operate("inspect", "active_queues", "-d", THEIRS)


def test_our_api_speaks_with_both_on_threads_and_loops(site: Site) -> None:
    app = Leveret("steering", broker=site.broker_url, backend=store_of(site), set_as_current=False)

    ping = app.control.inspect(destination=[OURS, THEIRS], timeout=5).ping()
    assert ping == {OURS: {"ok": "pong"}, THEIRS: {"ok": "pong"}}
    assert app.control.inspect(OURS, timeout=5).clock()["clock"] > 0
    assert [*(app.control.ping(timeout=5, pattern="our*", matcher="glob", limit=1)[0])] == [OURS]

    async def on_a_loop() -> Any:
        inspect = app.control.inspect(destination=[THEIRS], timeout=5)
        return await inspect.aping(), await inspect.aregistered()

    ping, registered = asyncio.run(on_a_loop())
    assert ping == {THEIRS: {"ok": "pong"}}
    assert "interop.only.celery" in registered[THEIRS]


def test_nobody_there_is_told_by_the_exit_code(site: Site) -> None:
    command = [
        sys.executable,
        "-m",
        "leveret.cli",
        "-b",
        site.broker_url,
        "inspect",
        "ping",
        "-d",
        "nobody@x",
        "-t",
        "0.2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)

    assert done.returncode == 69
    assert "No nodes replied" in done.stderr
