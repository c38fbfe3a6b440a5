"""What a call may be told: when, by when, how urgently, under which headers, and whether a result is wanted."""

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from tests.interop.sides.lines import Line, tag
from tests.interop.sides.processes import until
from tests.interop.sides.sites import Site


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# When

SLACK = 4.0
"""A busy machine, and a ladder of whole seconds."""


def run_at(line: Line, **options: Any) -> tuple[float, float]:
    """(when it was sent, when it ran)."""
    before = time.time()
    return before, line.run("interop.who", **options)[2]


def test_a_countdown_is_waited_for(line: Line) -> None:
    sent, ran = run_at(line, countdown=1)

    assert 1.0 <= ran - sent < 1.0 + SLACK


def test_an_eta_in_another_zone(line: Line) -> None:
    eta = datetime.now(timezone(timedelta(hours=-7))) + timedelta(seconds=1.5)

    _, ran = run_at(line, eta=eta)

    assert 0 <= ran - eta.timestamp() < SLACK


def test_a_naive_eta_is_utc(line: Line) -> None:
    eta = (datetime.now(UTC) + timedelta(seconds=1)).replace(tzinfo=None)

    _, ran = run_at(line, eta=eta)

    assert 0 <= ran - eta.replace(tzinfo=UTC).timestamp() < SLACK


def test_an_eta_that_has_passed(line: Line) -> None:
    sent, ran = run_at(line, eta=datetime.now(UTC) - timedelta(hours=1))

    assert ran - sent < SLACK


def test_the_task_sees_its_eta_and_expiry(line: Line) -> None:
    eta = datetime.now(UTC) + timedelta(seconds=0.2)
    expires = datetime.now(UTC) + timedelta(hours=1)

    seen = line.run("interop.request", eta=eta, expires=expires)

    assert moment(seen["eta"]) == pytest.approx(eta.timestamp(), abs=0.001)
    assert moment(seen["expires"]) == pytest.approx(expires.timestamp(), abs=0.001)


def test_a_task_that_has_not_expired_runs(line: Line) -> None:
    assert line.run("interop.add", 1, 2, expires=60) == 3


def test_a_task_that_expires_while_it_waits_for_its_time_is_revoked(line: Line) -> None:
    result = line.send("interop.note", kwargs={"tag": (mark := tag())}, countdown=2, expires=1)

    with pytest.raises(Exception) as caught:
        result.get(timeout=20)

    assert type(caught.value).__name__ == "TaskRevokedError"
    assert "expired" in str(caught.value)
    assert result.state == "REVOKED"
    assert line.notes.all(tag=mark) == []


# Whether a result is wanted


def test_a_call_without_a_result(line: Line) -> None:
    result = line.send("interop.note", kwargs={"tag": (mark := tag())}, ignore_result=True)

    line.notes.wait(tag=mark)
    line.run("interop.add", 1, 1)  # behind it, so that a result would have come

    assert line.client.AsyncResult(result.id).state == "PENDING"


def test_a_task_without_a_result(line: Line) -> None:
    result = line.send("interop.silent", mark := tag())

    line.notes.wait(tag=mark)
    line.run("interop.add", 1, 1)

    assert line.client.AsyncResult(result.id).state == "PENDING"


def test_an_explicit_wish_for_a_result_travels(line: Line) -> None:
    seen = line.run("interop.request", ignore_result=False)

    assert seen["ignore_result"] in (False, None)


# What the task sees


@pytest.mark.parametrize(
    "value",
    ["text", "wört", 7, -(2**40), 2.5, True, ["a", 1, ["b"]], {"a": {"b": [1, "x"]}}, ""],
    ids=repr,
)
def test_a_header_of_ones_own(line: Line, value: Any) -> None:
    seen = line.run("interop.request", headers={"my_header": value})

    assert seen["my_header"] == value


def test_many_headers(line: Line) -> None:
    seen = line.run("interop.request", headers={f"h{n}": "x" * 20 for n in range(50)} | {"my_header": "kept"})

    assert seen["my_header"] == "kept"


def test_ids_and_places_in_a_tree(line: Line) -> None:
    options = {"task_id": tag(), "root_id": "the-root", "parent_id": "the-parent", "group_id": "g", "group_index": 3}

    seen = line.run("interop.request", **options)

    assert seen["id"] == seen["correlation_id"] == options["task_id"]
    assert (seen["root_id"], seen["parent_id"]) == ("the-root", "the-parent")
    assert (seen["group"], seen["group_index"]) == ("g", 3)


def test_the_shadow_of_a_name(line: Line) -> None:
    assert line.run("interop.request", shadow="called otherwise")["shadow"] == "called otherwise"


def test_limits_reach_the_request(line: Line) -> None:
    assert line.run("interop.request", time_limit=60, soft_time_limit=30.5)["timelimit"] == [60, 30.5]


def test_stamps(line: Line) -> None:
    seen = line.run("interop.request", stamped_headers=["customer"], customer="c1")

    assert seen["stamps"] == {"customer": "c1"}
    assert seen["stamped_headers"] == ["customer"]


def test_the_task_knows_its_queue(line: Line) -> None:
    assert line.run("interop.delivery")["routing_key"] == line.queue


def test_a_priority_reaches_the_task(line: Line) -> None:
    assert line.run("interop.delivery", priority=5)["priority"] == 5


# Limits that are enforced


def test_a_soft_limit_warns_the_task(line: Line) -> None:
    if line.kind.pool == "solo":
        pytest.skip("Celery's solo pool has no limits")

    assert line.run("interop.soft", soft_time_limit=0.5) == "warned"


def test_a_hard_limit_ends_the_task(line: Line) -> None:
    if line.kind.pool == "solo":
        pytest.skip("Celery's solo pool has no limits")

    result = line.send("interop.sleep", 30, time_limit=1)

    with pytest.raises(Exception) as caught:
        result.get(timeout=20)
    assert type(caught.value).__name__ == "TimeLimitExceeded"
    assert result.state == "FAILURE"


# Priorities and places


LISTED = '[{"name": "urgent", "max_priority": 9}]'
URGENT_FIRST = {"rabbitmq": (9, 3, 0), "redis": (0, 3, 9)}
"""As the broker's Celery users know it."""


@pytest.mark.parametrize("worker", ["celery", "leveret"])
@pytest.mark.parametrize("sender", ["celery", "leveret"])
def test_the_urgent_goes_first(sender: str, worker: str, site: Site) -> None:
    with site.another_client(sender, INTEROP_QUEUES=LISTED) as client:
        for priority in (0, 3, 9):
            for _ in range(3):
                client.send_task("interop.note", (priority,), {"tag": "one"}, queue="urgent", priority=priority)

    site.start(worker, "runs", ["-P", "solo", "-c", "1", "-Q", "urgent"], INTEROP_QUEUES=LISTED)

    ran = [note["args"][0] for note in site.notes.wait(9, tag="one", timeout=60)]
    assert ran == [priority for priority in URGENT_FIRST[site.kind] for _ in range(3)]


def test_a_topic_exchange_leads_to_the_queue(line: Line) -> None:
    if line.kind.broker == "redis":
        pytest.skip("Celery's client must know the kind of an exchange there: tests/interop/redis/test_exchanges.py")
    with line.site.channel() as channel:
        channel.exchange_declare("topics", "topic", durable=True, auto_delete=False)
        channel.queue_bind(line.queue, "topics", "order.#")

    value = line.client.send_task("interop.add", (2, 3), exchange="topics", routing_key="order.paid").get(timeout=20)

    assert value == 5


def test_two_hundred_at_once(line: Line) -> None:
    results = [line.send("interop.add", number, 1) for number in range(200)]

    assert [result.get(timeout=30) for result in results] == list(range(1, 201))
    until(lambda: line.worker.process.poll() is None)


EVERYBODY = '[{"broadcast": "reload"}, {"name": "celery"}]'


@pytest.mark.parametrize("sender", ["celery", "leveret"])
def test_a_broadcast_reaches_the_workers_of_both_sides(sender: str, site: Site) -> None:
    for side in ("celery", "leveret"):
        site.start(side, side, ["-P", "solo"], INTEROP_QUEUES=EVERYBODY)
        site.until_run_by(side, "celery")

    with site.another_client(sender, INTEROP_QUEUES=EVERYBODY) as client:
        if (sender, site.kind) == ("celery", "redis"):
            # It takes an exchange that its connection has not declared for a direct one: into a list that nobody reads.
            with client.producer_pool.acquire(block=True) as producer:
                client.amqp.queues["reload"](producer.channel).declare()
        for number in range(3):
            client.send_task("interop.note", (number,), {"tag": "all"}, queue="reload")

    heard = sorted((note["side"], note["args"][0]) for note in site.notes.wait(6, tag="all", timeout=60))
    assert heard == [(side, number) for side in ("celery", "leveret") for number in range(3)]


# Protocol 1: read, never written

V1 = {"INTEROP_SETTINGS": '{"task_protocol": 1}'}


def test_protocol_1_is_read(line: Line) -> None:
    if not line.to_leveret:
        pytest.skip("we write protocol 2 only")
    follow = line.client.signature("interop.note", kwargs={"tag": (mark := tag())}, queue=line.queue)

    with line.site.another_client("celery", line.kind.results, **V1) as client:
        values = [client.send_task("interop.add", (number, 1), queue=line.queue) for number in range(5)]
        retried = client.send_task("interop.retry", (2,), queue=line.queue)
        began = time.time()
        late = client.send_task("interop.who", queue=line.queue, countdown=1)
        failed = client.send_task("interop.fail", ("ValueError", "boom"), queue=line.queue)
        linked = client.send_task("interop.echo", ("x",), {"a": 1}, queue=line.queue, link=follow, expires=60)

        assert [value.get(timeout=20) for value in values] == [1, 2, 3, 4, 5]
        assert retried.get(timeout=20) == [2, retried.id]
        assert late.get(timeout=20)[2] >= began + 1
        with pytest.raises(ValueError, match="boom"):
            failed.get(timeout=20)
        assert linked.get(timeout=20) == [["x"], {"a": 1}]
    assert line.notes.wait(tag=mark)[0]["args"] == [[["x"], {"a": 1}]]
