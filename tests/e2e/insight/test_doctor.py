"""`doctor` is silent on a healthy set-up of each kind, and finds what is planted in it: real servers, started so."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import amqp
import pytest
from tests.e2e.harness import ROOT
from tests.e2e.insight.staging import SEEMING, Stage, _session
from tests.servers.fixtures import rabbit  # noqa: F401 - fixture
from tests.servers.redis import RedisOptions, RedisServer

from leveret import Leveret
from leveret.model.delivery import Encoded, Posting
from leveret.model.endpoint import Url
from leveret.model.insight.finding import NOTE, Finding
from leveret.model.node import Node
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import make
from leveret.wiring.insight.checkup import Doctor


def look(app: Leveret, *queues: str) -> tuple[Finding, ...]:
    conf = app.conf
    names = queues or (conf.settings.task_default_queue,)
    return asyncio.run(Doctor(conf.settings, app.tasks, queues=names, remarks=conf.remarks()).examine())


def found(app: Leveret, *queues: str) -> dict[str, Finding]:
    return {finding.check: finding for finding in look(app, *queues)}


def bad(findings: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in findings if finding.severity != NOTE]


def app_on(url: str, **settings: Any) -> Leveret:
    return Leveret("looked-at", broker=url, set_as_current=False, task_default_queue="served", **settings)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """As it should be."""
    with RedisServer(RedisOptions(conf=("appendonly yes",))) as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "redis", "rabbitmq"])
def healthy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if request.param == "sqlite":
        places: tuple[str, ...] = (f"sqlite:///{tmp_path_factory.mktemp('file')}/queue.db",)
    else:
        server = request.getfixturevalue("redis")
        server.call("FLUSHALL")
        vhost = [request.getfixturevalue("rabbit").vhost().url] if request.param == "rabbitmq" else []
        places = (*vhost, server.url)
    made = Stage(tmp_path_factory.mktemp(request.param), *places, queues="served,halted")
    try:
        assert made.tasks.add.delay(1).get(timeout=30) == 1, made.log()
        yield made
    finally:
        made.close()


def test_it_is_silent_on_a_healthy_set_up(healthy: Stage) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "leveret.cli", "doctor", "-A", "tests.e2e.insight.explain_app"],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=False,
    )  # fmt: skip

    assert (done.stdout, done.stderr, done.returncode) == ("healthy\n", "", 0)


# Redis, started wrongly


@pytest.mark.parametrize(
    ("conf", "check", "change"),
    [
        ("maxmemory-policy allkeys-lru", "eviction", "maxmemory-policy noeviction"),
        ("appendonly no", "no-append-only-file", "appendonly yes"),
        ("timeout 60", "idle-timeout", "timeout 0"),
        ("maxclients 40", "connections", "maxclients"),
        ("replicaof 127.0.0.1 1", "replica", "redis://127.0.0.1:1/0"),
        ("maxmemory 4mb", "memory", "maxmemory"),
    ],
)
def test_a_redis_that_was_set_up_wrongly(conf: str, check: str, change: str) -> None:
    lines = (conf,) if conf.startswith("appendonly") else ("appendonly yes", conf)
    with RedisServer(RedisOptions(conf=lines)) as server:
        if check == "memory":
            fill(server)
        if check == "connections":
            processes(server.url, 20)

        findings = found(app_on(server.url))

        assert check in findings, findings
        assert change in findings[check].change
        others = {name for name in findings if findings[name].severity == "error"} - {check, "unreachable"}
        assert not others or check == "replica"


def fill(server: RedisServer) -> None:
    """To nine tenths of what it may use."""
    before = int(re.search(r"used_memory:(\d+)", server.call("INFO", "memory"))[1])  # type: ignore[index]
    for number in range(max(1, (3_900_000 - before) // 10_000)):
        server.call("SET", f"ballast-{number}", "x" * 9_000)


def processes(url: str, number: int) -> None:
    """A large node, as far as the server can tell."""
    node = Node(name="n@x", incarnation="i", boot="b", pid=1, queues=("served",), slots=number, pool="prefork")

    async def register() -> None:
        driver: Any = make("brokers", Url(url), DriverOptions(), SystemClock())
        await driver.leases().register(node, ())
        await driver.broker().close()

    asyncio.run(register())


# Queues, nodes, tasks and settings, in a file


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/queue.db"


def on(url: str, work: Callable[[Any], Any], **options: Any) -> None:
    async def run() -> None:
        driver: Any = make("brokers", Url(url), DriverOptions(**options), SystemClock())
        await work(driver)
        await driver.broker().close()

    asyncio.run(run())


def node(url: str, name: str = SEEMING.name, **changes: Any) -> None:
    from msgspec.structs import replace

    one = replace(SEEMING, name=name, incarnation=name, **changes)
    on(url, lambda driver: driver.leases().register(one, ()), lease_seconds=600.0)


def posting(number: int, queue: str = "served", task: str = "looked-at.add") -> Posting:
    name = f"id-{number}"
    return Posting(id=name, queue=queue, encoded=Encoded({"task": task, "id": name}, b"[[], {}, {}]"))


def test_a_queue_with_messages_that_nobody_consumes(url: str) -> None:
    node(url, queues=("served",))
    on(url, lambda driver: driver.broker().publish((posting(1, "orphan"),)))

    finding = found(app_on(url))["queue-without-consumer"]

    assert (finding.severity, finding.where) == ("error", "queue orphan")
    assert finding.change == "leveret worker -Q orphan"


def test_a_queue_that_tasks_are_routed_to_and_nobody_consumes(url: str) -> None:
    node(url, queues=("served",))

    assert found(app_on(url), "served", "elsewhere")["routed-queue-without-consumer"].where == "queue elsewhere"


def test_no_node_at_all(url: str) -> None:
    assert found(app_on(url))["no-node"].severity == "warning"
    on(url, lambda driver: driver.broker().publish((posting(1),)))
    assert found(app_on(url))["no-node"].severity == "error"


def test_unknown_tasks_that_wait(url: str) -> None:
    node(url, queues=("served",), tasks=("looked-at.add",))
    on(url, lambda driver: driver.broker().publish((posting(1, task="looked-at.ad"), posting(2))))

    finding = found(app_on(url))["unknown-task"]

    assert finding.text.startswith("1 messages for task 'looked-at.ad' wait")


def test_two_apps_on_one_queue_and_nodes_that_differ(url: str) -> None:
    node(url, "a@x", queues=("served",), tasks=("shop.buy", "shop.pay"), version="0.1")
    node(url, "b@x", queues=("served",), tasks=("shop.buy",), version="0.2")
    findings = found(app_on(url))
    assert findings["nodes-differ"].where == "node b@x"
    assert "0.1 and 0.2" in findings["versions-differ"].text

    node(url, "b@x", queues=("served",), tasks=("blog.post",))
    assert "two-apps" in found(app_on(url))


def test_a_node_that_vanished_and_nobody_saw(url: str) -> None:
    on(url, lambda driver: driver.leases().register(SEEMING, (_session("holder"),)), lease_seconds=-100.0)

    assert found(app_on(url))["stuck-session"].where == "node seems@there"


def test_a_node_whose_clock_is_wrong_and_that_does_not_answer(url: str) -> None:
    node(url, queues=("served",), started=time.time() + 100)

    findings = found(app_on(url))

    assert "from now" in findings["clock-skew"].text
    assert findings["node-silent"].where == "node seems@there"


def test_a_schedule_that_nobody_fires(url: str) -> None:
    node(url, queues=("served",))
    app = app_on(url, beat_schedule={})

    @app.task(name="looked-at.tick")
    def tick() -> None: ...

    app.schedules.create("every-second", 1.0, tick)
    assert "schedule-without-scheduler" not in found(app)
    with_late(url)

    assert found(app)["schedule-without-scheduler"].where == "entry every-second"


def with_late(url: str) -> None:
    import sqlite3

    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.execute("UPDATE schedules SET due = ?, cursor = ?", (time.time() - 500, time.time() - 501))
    connection.commit()
    connection.close()


def test_results_for_ever_and_settings_that_do_nothing(url: str) -> None:
    node(url, queues=("served",))
    app = app_on(url, result_expires=None, worker_proc_alive_timeout=5)

    findings = found(app)

    assert findings["results-never-expire"].change.startswith("result_expires = 86400")
    assert findings.get("setting") is None or findings["setting"].severity == NOTE


def test_dead_letters_that_grow(url: str) -> None:
    node(url, queues=("served",))
    on(url, bury_twelve)

    assert "12 messages became dead letters" in found(app_on(url))["dead-letters"].text


async def bury_twelve(driver: Any) -> None:
    from leveret.model.delivery import Claim, Verdict
    from leveret.model.settlement import Commitment

    await driver.leases().register(SEEMING, (_session("holder"),))
    broker = driver.broker()
    await broker.publish(tuple(map(posting, range(12))))
    claim = Claim(session=_session("holder").id, queues=("served",), credit=12, number=1)
    taken = await broker.claim(claim)
    await broker.settle(
        tuple(Commitment(receipt=one.receipt, verdict=Verdict.REJECT, reason="no good") for one in taken)
    )


# RabbitMQ


def test_a_rabbitmq_that_was_set_up_wrongly(rabbit: Any, redis: RedisServer) -> None:  # noqa: F811 - fixture
    vhost = rabbit.vhost()
    app = app_on(vhost.url, result_backend=redis.url)
    connection = amqp.Connection(f"127.0.0.1:{rabbit.port}", virtual_host=vhost.name)
    connection.connect()
    channel = connection.channel()
    short = {"x-queue-type": "quorum", "x-delivery-limit": 3, **dead_letters_of("short")}
    channel.queue_declare("classic", durable=True, auto_delete=False)
    channel.queue_declare("transient", durable=False, auto_delete=False)
    channel.queue_declare("short", durable=True, auto_delete=False, arguments=short)

    @app.task(time_limit=3000)
    def long() -> None: ...

    findings = {(one.check, one.where) for one in look(app, "classic", "transient", "short", "absent")}

    assert {
        ("classic-queue", "queue classic"),
        ("transient-queue", "queue transient"),
        ("delivery-limit", "queue short"),
    } <= findings
    assert any(check == "consumer-timeout" and where.endswith("long") for check, where in findings)
    connection.close()


def dead_letters_of(queue: str) -> dict[str, str]:
    return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"leveret.dead.{queue}"}


def test_a_user_of_rabbitmq_without_rights(rabbit: Any) -> None:  # noqa: F811 - fixture
    vhost = rabbit.vhost()
    rabbit.ctl("add_user", "poor", "poor")
    rabbit.ctl("set_permissions", "-p", vhost.name, "poor", "^$", ".*", ".*")
    url = vhost.url.replace("guest:guest", "poor:poor")

    finding = found(app_on(url))["permissions"]

    assert "configure" in finding.text
    assert "set_permissions" in finding.change


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//", "sqlite:////proc/x/q.db"])
def test_a_server_that_is_away_is_one_line(url: str, tmp_path: Path) -> None:
    def call(*words: str) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "leveret.cli", "-b", url, "doctor", *words],
            capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False,
        )  # fmt: skip

    done = call("--json")

    assert done.returncode == 2, done.stderr
    assert [one["check"] for one in json.loads(done.stdout)] == ["unreachable"]
    assert "Traceback" not in done.stderr
