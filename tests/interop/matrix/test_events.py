"""Events as Celery's: the same calls on a Celery worker and on ours, heard by Celery's receiver and by ours, are told
with the same fields and types; and `celery events --dump` shows what our worker does."""

import json
import os
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.interop.sides.processes import CELERY_APP, ROOT, until
from tests.interop.sides.sites import Site

ENDS = {"worker-online", "task-succeeded", "task-failed", "task-retried", "task-rejected", "task-revoked"}
MOMENTS = {"eta", "expires"}
"""A text where there is one: our retry waits in the broker, and says until when."""
LOCAL = {"local_received"}
Event = dict[str, Any]


@contextmanager
def hearing(app: Any) -> Iterator[list[Event]]:
    """All events of a site, heard by an app of either side."""
    heard: list[Event] = []
    over = threading.Event()

    def listen() -> None:
        with app.connection() as connection:
            receiver = app.events.Receiver(connection, handlers={})
            # Both sides look at it between two messages; a worker says every two seconds that it is there.
            receiver.handlers["*"] = lambda event: (
                heard.append(event),
                setattr(receiver, "should_stop", over.is_set()),
            )
            try:
                receiver.capture(limit=None, timeout=30, wakeup=False)
            except Exception:
                # The broker goes with the test.
                if not over.is_set():
                    raise

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield heard
    finally:
        over.set()


def shapes(events: list[Event]) -> dict[str, dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for event in events:
        for name, value in event.items():
            if name not in LOCAL:
                found[event["type"]][name].add("number" if type(value) in (int, float) else type(value).__name__)
    return found


def work(site: Site, side: str, queue: str) -> None:
    """One call for each end that a task has."""
    client = site.client(side)
    client.send_task("interop.add", (1, 2), queue=queue).get(timeout=60)
    for name, args in (("interop.fail", ("ValueError", "no")), ("interop.retry", (1,)), ("interop.reject", ())):
        client.send_task(name, args, queue=queue)
    client.send_task("interop.add", (1, 1), queue=queue, expires=-1)


@pytest.mark.parametrize("hearer", ["celery", "leveret"])
def test_both_workers_tell_the_same_fields(site: Site, hearer: str) -> None:
    told: dict[str, list[Event]] = {}
    with hearing(site.client(hearer)) as heard:
        for side in ("celery", "leveret"):
            # A Celery worker that has acknowledged a message has nothing to reject.
            late = json.dumps({"task_acks_late": True})
            worker = site.start(side, side, ["-E", "-P", "solo", "-Q", side], INTEROP_SETTINGS=late)
            work(site, side, side)
            name = f"{side}@interop"

            def mine(name: str = name) -> list[Event]:
                return [event for event in heard if event["hostname"] == name]

            until(
                lambda mine=mine: {one["type"] for one in mine()} >= ENDS, 60, lambda mine=mine: shapes(mine()).keys()
            )
            until(lambda mine=mine: "worker-heartbeat" in {one["type"] for one in mine()}, 60)
            worker.stop()
            until(lambda mine=mine: "worker-offline" in {one["type"] for one in mine()}, 60)
            told[side] = mine()

    theirs, ours = shapes(told["celery"]), shapes(told["leveret"])
    assert set(ours) == set(theirs)
    for kind, fields in theirs.items():
        assert set(ours[kind]) == set(fields), kind
        for field, types in fields.items():
            assert ours[kind][field] <= types | {"NoneType"} | ({"str"} if field in MOMENTS else set()), (kind, field)
    assert true_values(told["leveret"])


def true_values(events: list[Event]) -> bool:
    by_id: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event["type"].startswith("task-"):
            by_id[event["uuid"]].append(event)
    added = next(found for found in by_id.values() if found[-1].get("result") == "3")
    assert [event["type"] for event in added] == ["task-received", "task-started", "task-succeeded"]
    assert (added[0]["name"], added[0]["args"], added[0]["kwargs"]) == ("interop.add", "(1, 2)", "{}")
    assert added[0]["timestamp"] <= added[1]["timestamp"] <= added[2]["timestamp"]
    assert added[0]["clock"] < added[1]["clock"] < added[2]["clock"]
    failed = [event for event in events if event["type"] == "task-failed"]
    assert any("ValueError('no')" in event["exception"] and "Traceback" in event["traceback"] for event in failed)
    revoked = next(event for event in events if event["type"] == "task-revoked")
    assert (revoked["expired"], revoked["terminated"]) == (True, False)
    last = [event for event in events if event["type"] == "worker-offline"][-1]
    assert last["processed"] >= 4
    return True


def test_celerys_dump_shows_our_worker(site: Site) -> None:
    log = site.folder / "dump"
    with log.open("w") as out:
        dump = subprocess.Popen(
            [sys.executable, "-u", "-m", "celery", "-A", CELERY_APP, "events", "--dump"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", **site.places()},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        site.start("leveret", "ours", ["-E", "-c", "1", "-Q", "dumped"])
        until(lambda: "ours@interop" in log.read_text(), 60, log.read_text)

        site.client("celery").send_task("interop.add", (20, 22), queue="dumped")

        until(lambda: "task succeeded" in log.read_text() and "result=42" in log.read_text(), 30, log.read_text)
        assert "interop.add" in log.read_text()
    finally:
        dump.kill()
        dump.wait()


def test_state_knows_a_mixed_cluster(site: Site) -> None:
    """`State` is fed by our receiver, with what Celery's worker and ours tell."""
    app = site.client("leveret")
    state = app.events.State()
    for side in ("celery", "leveret"):
        site.start(side, side, ["-E", "-P", "solo", "-Q", side])
    with hearing(app) as heard:
        ids = {}
        for side in ("celery", "leveret"):
            result = site.client(side).send_task("interop.add", (1, 2), queue=side)
            assert result.get(timeout=60) == 3
            ids[side] = result.id
        until(lambda: sum(event["type"] == "task-succeeded" for event in heard) == 2, 30)
        until(lambda: len({event["hostname"] for event in heard if event["type"] == "worker-heartbeat"}) == 2, 30)

    for event in heard:
        state.event(event)

    assert {worker.hostname for worker in state.alive_workers()} == {"celery@interop", "leveret@interop"}
    for side, task_id in ids.items():
        task = state.tasks[task_id]
        assert (task.name, task.state, task.result, task.worker.hostname) == (
            "interop.add",
            "SUCCESS",
            "3",
            f"{side}@interop",
        )
        assert task.runtime < 1.0
    assert state.task_types() == ["interop.add"]
