"""Other languages: npm's Celery clients send to our worker and read its results; celery-node works for our client."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.interop.node_packages import HERE, node_packages
from tests.interop.sides.fixtures import SHARED
from tests.interop.sides.lines import LINES, Line, tag
from tests.interop.sides.processes import until
from tests.interop.sides.sites import Site

CALLS: list[dict[str, Any]] = [
    {"task": "interop.add", "args": [1, 2]},
    {"task": "interop.echo", "args": ["wörter 語 \U0001f407", None, True, 1.5, [1, [2]], {"a": {"b": []}}]},
    {"task": "interop.echo", "args": [], "kwargs": {"key": "wört", "n": 2}},
    {"task": "interop.echo", "args": []},
    {"task": "interop.same", "args": ["x" * 20_000]},
]
"""celery-node passes `{}` for absent keyword arguments, celery-ts must be given them."""
RETRIED = {"task": "interop.retry", "args": [2]}
"""celery-ts and node-celery take the first state they hear of, RETRY too, for the end."""
VALUES = [
    3,
    [["wörter 語 \U0001f407", None, True, 1.5, [1, [2]], {"a": {"b": []}}], {}],
    [[], {"key": "wört", "n": 2}],
    [[], {}],
    "x" * 20_000,
]


@pytest.fixture(scope="session")
def modules() -> Path:
    return node_packages()


WORKING = [kind for kind in LINES if kind.worker == "leveret"]


def shared_line(request: pytest.FixtureRequest) -> Line:
    site: Site = request.getfixturevalue(SHARED[request.param.broker])
    return site.line(request.param)


@pytest.fixture(params=WORKING, ids=str)
def line(request: pytest.FixtureRequest) -> Line:
    return shared_line(request)


@pytest.fixture(params=[kind for kind in WORKING if kind.results != "rpc"], ids=str)
def redis_line(request: pytest.FixtureRequest) -> Line:
    """One whose results are documents in Redis."""
    return shared_line(request)


@pytest.fixture(params=[kind for kind in WORKING if kind.results == "rpc"], ids=str)
def rpc_line(request: pytest.FixtureRequest) -> Line:
    return shared_line(request)


def documents(site: Site) -> str:
    """The name of the store that keeps results as documents."""
    return next(name for name in site.stores if name != "rpc")


def store(site: Site) -> str:
    return site.stores[documents(site)]


def produce(script: str, modules: Path, site: Site, **plan: Any) -> list[dict[str, Any]]:
    """Run a producer; answers what it printed of each call."""
    given = {"broker": site.broker_url, "backend": store(site), "protocol": 2, "results": True, **plan}
    given["calls"] = [{"kwargs": {}, **call} for call in given["calls"]]
    done = subprocess.run(
        ["node", "--no-deprecation", str(HERE / script)],
        input=json.dumps(given),
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(text) for text in done.stdout.splitlines()]


# Producers


@pytest.mark.parametrize("protocol", [1, 2])
def test_celery_node_sends_and_reads(protocol: int, modules: Path, redis_line: Line) -> None:
    answers = produce(
        "produce_celery_node.cjs", modules, redis_line.site, queue=redis_line.queue, calls=[*CALLS, RETRIED],
        protocol=protocol, backend=redis_line.store_url,
    )  # fmt: skip

    assert [answer["value"] for answer in answers[:-1]] == VALUES
    assert answers[-1]["value"] == [2, answers[-1]["id"]]


def test_celery_node_hears_of_a_failure(modules: Path, redis_line: Line) -> None:
    calls = [{"task": "interop.fail", "args": ["ValueError", "boom", 1]}]

    (answer,) = produce(
        "produce_celery_node.cjs",
        modules,
        redis_line.site,
        queue=redis_line.queue,
        calls=calls,
        backend=redis_line.store_url,
    )

    assert answer["error"] == "FAILURE"
    assert (answer["exc_type"], answer["exc_message"]) == ("ValueError", ["boom", 1])


def test_celery_nodes_tasks_run_where_nobody_can_send_a_result(modules: Path, rpc_line: Line) -> None:
    calls = [{"task": "interop.note", "kwargs": {"tag": (mark := tag())}}] * 3

    produce(
        "produce_celery_node.cjs", modules, rpc_line.site, queue=rpc_line.queue, calls=calls,
        backend=rpc_line.site.broker_url, results=False,
    )  # fmt: skip

    rpc_line.notes.wait(3, tag=mark)


def test_celery_ts_sends_and_reads(modules: Path, line: Line) -> None:
    backend = line.store_url or line.site.broker_url.replace("amqp", "rpc", 1)

    answers = produce("produce_celery_ts.cjs", modules, line.site, queue=line.queue, calls=CALLS, backend=backend)

    assert [answer["value"] for answer in answers] == VALUES


def test_celery_ts_with_options(modules: Path, line: Line) -> None:
    backend = line.store_url or line.site.broker_url.replace("amqp", "rpc", 1)
    eta = datetime.now(UTC) + timedelta(seconds=2)
    text = {"text": "wört " * 500}
    calls = [
        {"task": "interop.who", "args": [], "options": {"eta": eta.isoformat()}},
        {"task": "interop.add", "args": [1, 2], "options": {"expires": (eta + timedelta(hours=1)).isoformat()}},
        {"task": "interop.same", "args": [text], "options": {"compression": True}},
        {"task": "interop.same", "args": [text], "options": {"serializer": "yaml"}},
        {"task": "interop.delivery", "args": [], "options": {"priority": 5}},
        {"task": "interop.request", "args": []},
    ]

    answers = produce("produce_celery_ts.cjs", modules, line.site, queue=line.queue, calls=calls, backend=backend)

    who, added, packed, yaml, delivery, seen = (answer["value"] for answer in answers)
    assert who[2] >= eta.timestamp()
    assert (added, packed, yaml) == (3, text, text)
    assert delivery["priority"] == 5
    assert seen["id"] == seen["root_id"] == answers[-1]["id"]


def test_node_celery_sends_protocol_1_and_reads(modules: Path, redis_line: Line) -> None:
    eta = datetime.now(UTC) + timedelta(seconds=1.5)
    calls = [*CALLS, {"task": "interop.who", "args": [], "options": {"eta": eta.isoformat(), "expires": "2099-01-01"}}]

    answers = produce(
        "produce_node_celery.cjs",
        modules,
        redis_line.site,
        queue=redis_line.queue,
        calls=calls,
        backend=redis_line.store_url,
    )

    assert {answer["status"] for answer in answers} == {"SUCCESS"}
    values = [answer["value"] for answer in answers]
    assert all(value in values for value in VALUES)
    (ran,) = [value[2] for value in values if isinstance(value, list) and value[:1] == ["leveret"]]
    assert ran >= eta.timestamp()


def test_node_celery_hears_of_a_failure(modules: Path, redis_line: Line) -> None:
    calls = [{"task": "interop.fail", "args": ["KeyError", "k"]}]

    (answer,) = produce(
        "produce_node_celery.cjs",
        modules,
        redis_line.site,
        queue=redis_line.queue,
        calls=calls,
        backend=redis_line.store_url,
    )

    assert (answer["status"], answer["value"]["exc_type"]) == ("FAILURE", "KeyError")


@pytest.mark.parametrize("script", ["produce_celery_node.cjs", "produce_celery_ts.cjs"])
@pytest.mark.parametrize("first", ["producer", "worker"])
def test_their_declarations_and_ours_do_not_clash(script: str, first: str, modules: Path, site: Site) -> None:
    calls = [{"task": "interop.note", "args": [], "kwargs": {"tag": "theirs"}}]

    def send() -> None:
        produce(script, modules, site, queue="celery", calls=calls, results=False)

    if first == "producer":
        send()
    worker = site.start("leveret", "works", ["-P", "solo"])
    with site.another_client("leveret") as client:
        client.send_task("interop.note", kwargs={"tag": "ours"})
    site.notes.wait(tag="ours", timeout=60)
    send()

    site.notes.wait(2 if first == "producer" else 1, tag="theirs", timeout=60)
    assert worker.process.poll() is None


# A worker


@pytest.fixture(scope="module")
def celery_node_queue(modules: Path, shared_site: Site) -> Iterator[str]:
    plan = {"broker": shared_site.broker_url, "backend": store(shared_site), "queue": "in-node"}
    log = shared_site.folder / "celery-node.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            ["node", "--no-deprecation", str(HERE / "work_celery_node.cjs")],
            env={**os.environ, "NODE_PATH": str(modules)},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(plan))
        process.stdin.close()
    try:
        until(lambda: "registered task" in log.read_text(), 30)
        yield "in-node"
    finally:
        process.kill()
        process.wait()


def test_celery_node_works_for_our_client(celery_node_queue: str, shared_site: Site) -> None:
    client = shared_site.client("leveret", documents(shared_site))
    results = [client.send_task("interop.add", (number, 1), queue=celery_node_queue) for number in range(20)]
    # On Redis it looks into no list but that of step 0, whoever sends.
    options = {} if shared_site.kind == "redis" else {"priority": 3}
    echo = client.send_task("interop.echo", ("wört", None, [1]), {"a": {"b": 1}}, queue=celery_node_queue, **options)

    assert [result.get(timeout=20) for result in results] == [*range(1, 21)]
    assert echo.get(timeout=20) == [["wört", None, [1]], {"a": {"b": 1}}]
    assert echo.date_done is not None


def test_celery_node_gets_a_delayed_task_in_time(celery_node_queue: str, shared_site: Site) -> None:
    client = shared_site.client("leveret", documents(shared_site))
    began = time.monotonic()

    assert client.send_task("interop.add", (1, 2), queue=celery_node_queue, countdown=1).get(timeout=20) == 3

    assert time.monotonic() - began >= 1


def test_a_failure_in_celery_node_is_a_failure_here(celery_node_queue: str, shared_site: Site) -> None:
    client = shared_site.client("leveret", documents(shared_site))
    result = client.send_task("interop.fail", queue=celery_node_queue)

    error = result.get(timeout=20, propagate=False)

    assert isinstance(error, Exception)
    assert result.state == "FAILURE"
