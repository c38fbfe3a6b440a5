"""What comes back: failures with class and traceback, states on the way, documents in the store, unknown tasks."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis
from tests.interop.sides import words
from tests.interop.sides.lines import Line, tag


def raised(result: Any) -> BaseException:
    with pytest.raises(BaseException) as caught:
        result.get(timeout=20)
    return caught.value


# Failures


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("ValueError", ("boom", 1)),
        ("KeyError", ("key",)),
        ("OSError", (2, "no such file")),
        ("ZeroDivisionError", ()),
        ("OutOfStock", ("pears", 3)),
    ],
)
def test_an_exception_comes_back_as_its_class(line: Line, name: str, args: tuple[Any, ...]) -> None:
    result = line.send("interop.fail", name, *args)

    error = raised(result)

    kind = words.OutOfStock if name == "OutOfStock" else getattr(__import__("builtins"), name)
    assert isinstance(error, kind)
    assert error.args == args
    assert result.state == "FAILURE"
    assert result.failed() and not result.successful()


def test_an_exception_of_a_class_the_caller_lacks_has_its_name_and_arguments(line: Line) -> None:
    error = raised(line.send("interop.fail", "OnlyHere", "a", 1))

    assert "OnlyHere" in repr(error)
    assert "'a', 1" in repr(error)


def test_an_argument_that_no_serializer_takes_comes_as_text(line: Line) -> None:
    error = raised(line.send("interop.fail_oddly"))

    assert isinstance(error, ValueError)
    assert "<object object at" in str(error.args[0])


def test_the_traceback_is_the_workers(line: Line) -> None:
    result = line.send("interop.fail", "ValueError", "boom")
    raised(result)

    assert result.traceback.startswith("Traceback (most recent call last):")
    assert "shared_tasks.py" in result.traceback and ", in fail" in result.traceback
    assert result.traceback.rstrip().endswith("ValueError: boom")


def test_the_traceback_names_the_cause(line: Line) -> None:
    result = line.send("interop.cause")
    raised(result)

    assert "invalid literal for int()" in result.traceback
    assert "direct cause" in result.traceback


def test_a_failure_need_not_be_raised(line: Line) -> None:
    result = line.send("interop.fail", "ValueError", "boom")

    value = result.get(timeout=20, propagate=False)

    assert isinstance(value, ValueError)
    assert isinstance(result.result, ValueError)


# Retries


def test_a_task_that_retries_keeps_its_id_and_counts(line: Line) -> None:
    result = line.send("interop.retry", 3)

    assert result.get(timeout=20) == [3, result.id]


def test_a_retry_after_a_while(line: Line) -> None:
    assert line.run("interop.retry", 1, kwargs={"countdown": 1})[0] == 1


def test_a_retry_of_what_it_raised(line: Line) -> None:
    assert line.run("interop.auto", 2) == 2


def test_a_retry_with_other_arguments(line: Line) -> None:
    assert line.run("interop.other_arguments", 0) == [3, 3]


def test_a_retry_keeps_serializer_headers_and_priority(line: Line) -> None:
    options = {"serializer": "yaml", "compression": "gzip", "headers": {"my_header": "kept"}, "priority": 4}

    seen = line.run("interop.retried_request", **options)

    assert (seen["retries"], seen["my_header"], seen["priority"]) == (1, "kept", 4)


def test_exhausted_retries_raise_what_happened(line: Line) -> None:
    error = raised(line.send("interop.again", "OutOfStock", "pears", 3))

    assert isinstance(error, words.OutOfStock)
    assert error.args == ("pears", 3)


def test_exhausted_retries_without_a_cause(line: Line) -> None:
    error = raised(line.send("interop.exhausted"))

    assert type(error).__name__ == "MaxRetriesExceededError"
    assert type(error).__module__ == ("leveret.errors" if line.kind.client == "leveret" else "celery.exceptions")


# States


def seen_on_the_way(line: Line, result: Any, state: str, gate: Path) -> Any:
    """What comes with a state before the end; then the task is let go."""
    if line.kind.client == "celery" and line.kind.results == "rpc":
        # Celery's `state` looks into a queue whose messages its own consumer has already taken.
        found: list[Any] = []

        def hear(meta: Any) -> None:
            if meta["status"] == state:
                found.append(meta["result"])
                gate.touch()

        result.get(timeout=20, on_message=hear)
        return found[0]
    line.until(lambda: result.state == state)
    info = result.info
    gate.touch()
    return info


def test_progress_is_seen(line: Line, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    result = line.send("interop.progress", str(gate))

    assert seen_on_the_way(line, result, "PROGRESS", gate) == {"done": 3, "of": 10}

    assert result.get(timeout=20) == "finished"
    assert result.state == "SUCCESS"


def test_the_start_is_seen_where_it_is_tracked(line: Line, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    result = line.send("interop.started", str(gate))

    info = seen_on_the_way(line, result, "STARTED", gate)

    assert info["hostname"].startswith(line.queue)
    assert info["pid"] in line.worker.pids()
    assert result.get(timeout=20) == "True"


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}], ids=repr)
def test_a_result_may_be_nothing(line: Line, value: Any) -> None:
    result = line.send("interop.same", value)

    assert result.get(timeout=20) == value
    assert result.successful()


def test_the_end_has_a_moment(line: Line) -> None:
    result = line.send("interop.add", 1, 2)
    result.get(timeout=20)

    assert result.date_done is not None


def test_a_child_is_named_in_the_result(line: Line) -> None:
    result = line.send("interop.child", 1)

    child = result.get(timeout=20)

    assert [one.id for one in result.children] == [child]


def test_a_task_that_wants_no_result_after_all(line: Line) -> None:
    result = line.send("interop.ignore")
    line.run("interop.add", 1, 1)

    assert result.state == "PENDING"


# The document in the store


def document(line: Line, id: str) -> dict[str, Any]:
    assert line.store_url is not None
    with redis.Redis.from_url(line.store_url) as store:
        line.until(lambda: store.exists(f"celery-task-meta-{id}"))
        found: dict[str, Any] = json.loads(store.get(f"celery-task-meta-{id}") or b"")
        return found


def test_documents_in_redis_have_the_same_fields(line: Line) -> None:
    if line.store_url is None:
        pytest.skip("results are messages here")
    result = line.send("interop.add", 1, 2, group_id="g")
    failed = line.send("interop.fail", "ValueError", "boom")
    raised(failed)

    found = document(line, result.id)
    assert found == {
        "status": "SUCCESS",
        "result": 3,
        "traceback": None,
        "children": [],
        "date_done": found["date_done"],
        "group_id": "g",
        "task_id": result.id,
    }
    found = document(line, failed.id)
    assert found["status"] == "FAILURE"
    assert found["result"] == {"exc_type": "ValueError", "exc_message": ["boom"], "exc_module": "builtins"}
    assert found.keys() == {"status", "result", "traceback", "children", "date_done", "task_id"}


def test_documents_in_redis_end_after_a_day(line: Line) -> None:
    if line.store_url is None:
        pytest.skip("results are messages here")
    result = line.send("interop.add", 1, 2)
    result.get(timeout=20)

    with redis.Redis.from_url(line.store_url) as store:
        assert 86_000 < store.ttl(f"celery-task-meta-{result.id}") <= 86_400


def test_a_result_in_redis_is_read_by_either_side_later(line: Line) -> None:
    if line.store_url is None:
        pytest.skip("results are messages here")
    result = line.send("interop.add", 20, 22)
    result.get(timeout=20)

    for side in ("celery", "leveret"):
        assert line.site.client(side, line.kind.results).AsyncResult(result.id).get(timeout=20) == 42


def test_two_senders_at_once_get_their_own(line: Line) -> None:
    other = line.site.another_client(line.kind.client, line.kind.results)
    mine = [line.send("interop.add", number, 0) for number in range(20)]
    theirs = [other.send_task("interop.add", (number, 100), queue=line.queue) for number in range(20)]

    assert [one.get(timeout=20) for one in theirs] == list(range(100, 120))
    assert [one.get(timeout=20) for one in mine] == list(range(20))
    other.close()


# Unknown tasks


def test_an_unknown_task_fails_in_celery(line: Line) -> None:
    if line.to_leveret:
        pytest.skip("see below")

    error = raised(line.send("interop.nobody_has_it", 1))

    assert type(error).__name__ == "NotRegistered"
    assert type(error).__module__ == "leveret.errors"


def test_an_unknown_task_waits_in_the_broker_for_somebody_who_knows_it(line: Line) -> None:
    if not line.to_leveret:
        pytest.skip("see above")

    result = line.send("interop.nobody_has_it", mark := tag())

    line.until(lambda: "interop.nobody_has_it" in line.worker.log)
    assert result.state == "PENDING"
    assert mark in line.take_delayed(result.id, 30)
    assert line.run("interop.add", 1, 2) == 3
