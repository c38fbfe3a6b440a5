"""What was measured on RabbitMQ, held against what is promised."""

from typing import Any

from bench.against import promises
from bench.against.measurement import Measurement, Selection
from bench.drills.verdicts import Figure


def drained(busy: float, us: float) -> dict[str, Any]:
    row = {"per_second": 50_000.0, "cpu_ms_per_1k": us, "machine_busy_percent": busy}
    ratios = {"celery": 30.0, "limit: consume": 0.4}
    return {"decoded_by_celery": 100, "drain": {"rounds": {"leveret": [row] * 5}, "ratios": ratios}}


def named(figures: list[Figure], part: str) -> Figure:
    return next(figure for figure in figures if part in figure.name)


def test_less_than_the_share_of_the_limit_is_a_promise_broken() -> None:
    figure = named(promises.rabbitmq(drained(busy=80, us=20)), "limit")

    assert not figure.holds


def test_full_cores_at_little_cost_of_ours_keep_it_too() -> None:
    figure = named(promises.rabbitmq(drained(busy=99, us=20)), "limit")

    assert figure.holds
    assert "all cores 99 % busy at 20 us" in str(figure)


def test_full_cores_at_our_own_cost_do_not() -> None:
    assert not named(promises.rabbitmq(drained(busy=99, us=31)), "limit").holds


def test_what_was_not_measured_is_not_judged() -> None:
    names = [figure.name for figure in promises.rabbitmq(drained(busy=99, us=20))]

    assert names == [
        "drain: rate over that of celery",
        "drain: share of the broker's limit",
        "drain: CPU of the node a task",
        "messages of 100 that real Celery decodes",
    ]


def test_a_selection_refuses_a_measurement_that_does_not_exist() -> None:
    there = [Measurement(name="drain", entries={})]

    assert Selection(rounds=1, only=("drain",)).chosen(there) == there
    try:
        Selection(rounds=1, only=("drian",)).chosen(there)
    except SystemExit as refusal:
        assert "'drian'; there are 'drain'" in str(refusal)
    else:
        raise AssertionError("nothing was refused")
