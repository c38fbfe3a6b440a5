"""What was measured on RabbitMQ, held against what is promised."""

from pathlib import Path
from typing import Any

import pytest
from bench import rounds
from bench.against import promises
from bench.against.measurement import Measurement, Selection, broken, measure
from bench.drills.verdicts import Figure


def drained(busy: float, us: float) -> dict[str, Any]:
    row = {"per_second": 50_000.0, "cpu_ms_per_1k": us, "used_percent": busy}
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
    assert "fill 99 % of the cores at 20 us" in str(figure)


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


def test_a_measurement_that_breaks_leaves_the_others_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "write", lambda name, content: tmp_path)
    content: dict[str, Any] = {}

    def fail() -> rounds.Figures:
        raise RuntimeError("a traceback\nwhat it was")

    row = {"per_second": 1.0, "cpu_ms_per_1k": 1.0}
    measurements = [
        Measurement(name="drain", entries={"leveret": fail}),
        Measurement(name="send in bulk", entries={"leveret": lambda: row}),
    ]
    measure("any", measurements, Selection(rounds=1), content)

    assert broken(content) == ["drain"]
    assert content["drain"] == {"broken": "what it was"}
    assert content["send in bulk"]["rounds"] == {"leveret": [row]}
