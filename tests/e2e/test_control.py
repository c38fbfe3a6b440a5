"""Steering our own nodes, with no server: keys, commands of the app, pools of every kind, and what an idle node costs."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.field import Field, until
from tests.e2e.harness import ROOT

from leveret import Leveret, chord
from leveret.logic.remote.signing import sign
from leveret.logic.remote.wire import read_answer, write_command
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.model.remote.command import Command
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import make

REFUSED = "takes only signed commands"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/queue.db"


@pytest.fixture
def field(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Field]:
    monkeypatch.setenv("REVOKE_KEY", "a key, that nobody knows")
    made = Field(tmp_path, url, "", monkeypatch)
    yield made
    made.close()


def test_with_a_key_only_signed_commands_change_anything(field: Field, url: str) -> None:
    field.node("-P", "threads", "-c", "2", "-n", "n@x")
    field.steered()
    stranger = Leveret("stranger", broker=url, set_as_current=False)
    wrong = Leveret("wrong", broker=url, control_key="another", set_as_current=False)

    def answer(app: Any, command: str, **arguments: Any) -> Any:
        return app.control.broadcast(command, arguments, reply=True, limit=1, timeout=5)[0]["n@x"]

    # A node answers before a process of it knows the commands of the app.
    until(lambda: answer(stranger, "doubled", n=1).get("doubled") == 2, 20, field.logs)
    for app in (stranger, wrong):
        assert answer(app, "ping") == {"ok": "pong"}
        assert answer(app, "doubled", n=4)["doubled"] == 8
        for command in ("shutdown", "pool_grow", "revoke", "shout", "no_such_command", "add_consumer"):
            assert REFUSED in answer(app, command)["error"], command
    assert answer(field.app, "pool_grow", n=1) == {"ok": "pool will grow"}
    # While a process of threads is replaced by a larger one nobody knows the commands of the app.
    until(lambda: answer(field.app, "shout", word="loud") == "LOUD", 20, field.logs)
    assert field.ear.names("shouted") == {"loud"}
    assert asyncio.run(replayed(url)) == [{"ok": "task events enabled"}, REFUSED]
    assert "a key" not in json.dumps(answer(field.app, "conf", with_defaults=True))
    assert answer(field.app, "shutdown") == {"ok": "shutting down"}
    assert field.ended() == 0


async def replayed(url: str) -> list[Any]:
    """One signed command, sent twice."""
    mailbox = make("brokers", Url(url), DriverOptions(), SystemClock()).mailbox()
    clock = SystemClock()
    async with mailbox.inbox() as inbox:
        command = Command(method="enable_events", ticket="t", reply_to=inbox.address)
        signed = sign(write_command(command, "celery"), ("a key, that nobody knows",), clock.now(), "once")
        found: list[Any] = []
        for _ in range(2):
            await mailbox.broadcast((signed,))
            value = read_answer((await inbox.take(5))[0]).value
            found.append(REFUSED if REFUSED in str(value) else value)
    return found


def test_a_command_of_the_app_is_known_to_the_command_line(field: Field) -> None:
    field.node("-P", "prefork", "-c", "1", "-n", "n@x")
    field.steered()

    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "leveret.cli", *words, "-A", "tests.e2e.revoke_app"],
            capture_output=True, text=True, cwd=ROOT, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    answer = json.loads(call("inspect", "doubled", "21", "-j", "-d", "n@x"))["n@x"]
    assert (answer["doubled"], answer["node"]) == (42, "n@x")
    assert answer["pid"] in json.loads(call("inspect", "stats", "-j", "-d", "n@x"))["n@x"]["pool"]["processes"]
    assert "doubled [N]" in call("inspect", "--list") or "active" in call("inspect", "--list")
    assert "pool will grow" in call("control", "pool_grow", "2", "-d", "n@x")
    assert json.loads(call("inspect", "stats", "-j", "-d", "n@x"))["n@x"]["pool"]["max-concurrency"] == 3


@pytest.mark.parametrize(
    ("pool", "task"), [("prefork", "work"), ("threads", "work"), ("asyncio", "awork"), ("prefork", "awork")]
)
def test_a_long_run_is_shown_line_by_line_and_ended(field: Field, pool: str, task: str) -> None:
    field.node("-P", pool, "-c", "2")
    field.steered()
    result = getattr(field.tasks, task).delay("long", 60.0)
    until(lambda: field.ear.names("long-began"), 20, field.logs)

    slots = [
        slot
        for by_pid in field.app.control.inspect(limit=1).stack().values()
        for one in by_pid.values()
        for slot in one
    ]
    assert [slot["id"] for slot in slots] == [result.id]
    assert any(f"in {task}: " in line for line in slots[0]["lines"])
    result.revoke(terminate=True)

    until(lambda: result.state == "REVOKED", 10, field.logs)
    if task == "awork":
        until(lambda: field.ear.names("long-cancelled") == {result.id}, 10, field.logs)
    assert getattr(field.tasks, task).delay("short", 0.01).get(timeout=20) == "short"
    assert field.ear.names("long-ended") == set()
    until(lambda: field.app.control.inspect(limit=1).active() != {}, 5, field.logs)
    assert [*field.app.control.inspect(limit=1).active().values()] == [[]]


@pytest.mark.parametrize("terminate", [True, False])
def test_a_member_that_is_revoked_while_it_runs_fails_its_chord(field: Field, terminate: bool) -> None:
    """Its outcome is refused, for the revocation is stored; what that means to the body is told all the same."""
    field.node("-P", "prefork", "-c", "2")
    work, mark, join = field.tasks.work, field.tasks.mark, field.tasks.join
    body = chord([work.si("member", 60.0 if terminate else 2.0), mark.si("other")], join.s()).apply_async()
    until(lambda: field.ear.names("member-began"), 20, field.logs)

    body.parent[0].revoke(terminate=terminate)

    until(lambda: body.state == "FAILURE", 15, field.logs)
    assert body.parent[0].state == "REVOKED"
    assert field.ear.names("joined") == set()


def test_slots_of_a_pool_of_threads_are_added_and_taken(field: Field) -> None:
    field.node("-P", "threads", "-c", "2", "-n", "n@x")
    field.steered()

    field.app.control.pool_grow(3, reply=True, limit=1)
    results = [field.tasks.work.delay(f"wide-{n}", 1.0) for n in range(5)]
    until(lambda: all(field.ear.names(f"wide-{n}-began") for n in range(5)), 20, field.logs)
    assert not any(field.ear.names(f"wide-{n}-ended") for n in range(5))
    assert [result.get(timeout=20) for result in results] == [f"wide-{n}" for n in range(5)]
    field.app.control.pool_shrink(4, reply=True, limit=1)

    stats = field.app.control.inspect("n@x", timeout=5).stats()
    assert stats["pool"]["max-concurrency"] == 1
    assert "at least one slot" in field.app.control.pool_shrink(1, reply=True, limit=1)[0]["n@x"]["error"]


def test_what_is_scheduled_is_what_the_broker_holds_for_the_queues_of_the_node(field: Field) -> None:
    field.node("-P", "threads", "-c", "1", "-n", "n@x")
    field.steered()
    inspect = field.app.control.inspect("n@x", timeout=5)
    assert inspect.scheduled() == []
    mark = field.tasks.mark
    moments = [datetime.now(UTC) + timedelta(seconds=500 + n) for n in range(103)]
    sent = [mark.apply_async((f"later-{n}",), eta=eta) for n, eta in enumerate(moments)]
    mark.apply_async(("elsewhere",), countdown=10, queue="other")

    told = inspect.scheduled()

    assert [one["request"]["id"] for one in told] == [result.id for result in sent[:100]]
    assert [one["request"]["args"] for one in told[:2]] == [["later-0"], ["later-1"]]
    assert abs(datetime.fromisoformat(told[0]["eta"]) - moments[0]) < timedelta(seconds=1)
    field.app.control.add_consumer("other", reply=True, limit=1)
    assert inspect.scheduled()[0]["request"]["args"] == ["elsewhere"]


def test_a_solo_node_answers_while_its_only_slot_is_taken(field: Field) -> None:
    """A Celery worker of this pool is deaf until its task has ended."""
    node = field.node("-P", "solo", "-n", "n@x")
    field.steered()
    inspect = field.app.control.inspect("n@x", timeout=5)
    first, second = field.tasks.work.delay("long", 60.0), field.tasks.work.delay("next", 0.01)
    until(lambda: field.ear.names("long-began"), 20, field.logs)

    assert inspect.ping() == {"ok": "pong"}
    assert [one["id"] for one in inspect.active()] == [first.id]
    stats = inspect.stats()
    assert (stats["pid"], stats["pool"]["max-concurrency"]) == (node.pid, 1)
    assert "one slot" in field.app.control.pool_grow(1, reply=True, limit=1)[0]["n@x"]["error"]
    assert inspect.query_task(first.id)[first.id][0] == "active"
    first.revoke(terminate=True)
    assert second.get(timeout=20) == "next"
    assert first.state == "REVOKED" and not field.ear.names("long-ended")
    assert field.app.control.shutdown(reply=True, timeout=5, limit=1) == [{"n@x": {"ok": "shutting down"}}]
    assert field.ended() == 0


def test_an_app_that_asks_inside_a_loop_is_told_what_to_write(field: Field) -> None:
    async def on_a_loop() -> None:
        with pytest.raises(Exception, match=r"await app\.control\.aping"):
            field.app.control.ping()

    asyncio.run(on_a_loop())
