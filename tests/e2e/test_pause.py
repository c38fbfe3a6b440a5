"""What is paused is not begun anywhere, whatever is restarted, and goes on soon after it is resumed."""

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.field import Field, until
from tests.servers.fixtures import own_redis, rabbit, rabbit_vhost  # noqa: F401 - fixtures

from leveret.cli.main import run
from leveret.errors import ImproperlyConfigured, NotRegistered, QueueNotFound

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")]
MARK = "tests.e2e.revoke_app.mark"
OBEYED_SECONDS = 2.5
"""A look each second, and what was on its way."""


@pytest.fixture(params=["sqlite", "redis", "rabbitmq"])
def field(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Field]:
    broker, results = f"sqlite:///{tmp_path}/queue.db", ""
    if request.param != "sqlite":
        broker = request.getfixturevalue("own_redis").url
    if request.param == "rabbitmq":
        broker, results = request.getfixturevalue("rabbit_vhost").url, broker
    made = Field(tmp_path, broker, results, monkeypatch)
    yield made
    made.close()


def test_a_paused_queue_and_a_paused_task_wait_through_restarts(field: Field) -> None:
    app, mark = field.app, field.tasks.mark
    field.node("-P", "prefork", "-c", "2", "-Q", "revoke,mail")
    field.steered()
    for queue in ("revoke", "mail"):
        mark.apply_async((f"before-{queue}",), queue=queue)
    until(lambda: {"before-revoke", "before-mail"} <= field.ear.names("ran"), 30, field.logs)
    running = field.tasks.work.apply_async(("long", 4.0), queue="mail")
    until(lambda: field.ear.names("long-began"), 10, field.logs)

    app.control.pause(queue="mail", by="the provider is down")
    time.sleep(OBEYED_SECONDS)
    for n in range(20):
        mark.apply_async((f"mail-{n}",), queue="mail")
        mark.apply_async((f"other-{n}",), queue="revoke")
    until(lambda: {f"other-{n}" for n in range(20)} <= field.ear.names("ran"), 20, field.logs)
    assert running.get(timeout=10) == "long"
    app.control.pause(task=mark)
    field.kill()
    field.node("-P", "threads", "-c", "2", "-Q", "revoke,mail")
    field.steered()
    for n in range(20):
        mark.apply_async((f"task-{n}",), queue="revoke")
    field.tasks.work.delay("free", 0.0)
    until(lambda: field.ear.names("free-ended"), 20, field.logs)
    time.sleep(2.0)

    assert not [name for name in field.ear.names("ran") if name.startswith(("mail", "task"))]
    assert "the provider is down" in field.logs()
    assert {(one.kind, one.name, one.by) for one in app.control.paused()} >= {("queue", "mail", "the provider is down")}
    assert app.control.resume(queue="mail", task=[MARK, "nonsense"]) == ("mail", MARK)
    began = time.monotonic()
    wanted = {f"{kind}-{n}" for kind in ("mail", "task") for n in range(20)}
    until(lambda: wanted <= field.ear.names("ran"), 20, field.logs)
    assert time.monotonic() - began < 8
    assert all(field.ear.heard["ran", name] == 1 for name in wanted)


def test_the_command_line_pauses_shows_and_resumes(field: Field, capsys: pytest.CaptureFixture[str]) -> None:
    field.node("-P", "solo", "-Q", "revoke,mail")
    field.steered()

    def leveret(*words: str) -> Any:
        # Here, not each in a process of its own: ten starts of Python would be most of the test.
        code = run((*words, "-A", "tests.e2e.revoke_app"))
        return code, *capsys.readouterr()

    assert leveret("pause")[1] == "nothing is paused\n"
    assert leveret("pause", "mial")[0] == 1
    assert "no queue 'mial'; did you mean mail?" in leveret("pause", "mial")[2]
    assert f"did you mean {MARK}" in leveret("pause", "--task", MARK[:-1])[2]
    code, shown, _ = leveret("pause", "mail", "-t", MARK, "--by", "ann")
    assert code == 0 and re.search("queue +mail +.* ann", shown) and re.search(f"task +{MARK} +.* ann", shown)
    assert "queue mail is paused for" in leveret("status")[1]
    time.sleep(OBEYED_SECONDS)
    for _ in range(5):
        field.tasks.work.apply_async(("waits", 0.0), queue="mail")
        field.tasks.work.apply_async(("goes", 0.0), queue="revoke")
    rows = {row["queue"]: row for row in json.loads(leveret("queues", "--json")[1])}
    assert rows["mail"]["paused"] and rows["mail"]["ready"] == 5 and not rows["revoke"]["paused"]
    assert rows["mail"]["out_per_second"] == 0.0 and rows["revoke"]["consumers"] >= 1
    assert re.search(r"mail .*paused", leveret("queues", "--interval", "0")[1])
    assert not field.ear.names("waits-began")
    assert leveret("resume", "mial")[0] == 1
    assert leveret("resume", "mail")[:2] == (0, "resumed: mail\n")
    assert leveret("resume", "--all")[1] == f"resumed: {MARK}\n"
    until(lambda: len(field.ear.names("waits-ended")) == 5, 20, field.logs)


def test_a_broker_alone_says_that_it_cannot(
    rabbit_vhost: Any,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    field = Field(tmp_path, rabbit_vhost.url, "", monkeypatch)
    try:
        with pytest.raises(ImproperlyConfigured, match=r"cannot remember what is paused.*result_backend"):
            field.app.control.pause(queue="revoke")
        with pytest.raises(ImproperlyConfigured, match="cannot remember"):
            field.app.control.paused()
    finally:
        field.close()


def test_names_that_nobody_knows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    field = Field(tmp_path, f"sqlite:///{tmp_path}/queue.db", "", monkeypatch)
    try:
        with pytest.raises(QueueNotFound, match="'rewoke'; did you mean revoke"):
            field.app.control.pause(queue="rewoke")
        with pytest.raises(NotRegistered, match="no task 'mark'"):
            field.app.control.pause(task="mark")
        with pytest.raises(ValueError, match="say what"):
            field.app.control.pause()
        assert field.app.control.resume(queue="rewoke") == ()
    finally:
        field.close()
