"""Arguments and results of every type that the serializers know, to the other side's worker and back."""

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.interop.sides.lines import Line

VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "int": 42,
    "negative": -1,
    "beyond 64 bits": 2**80,
    "float": 0.1,
    "infinity": math.inf,
    "text": "wörter, 語, \U0001f407",
    "controls": 'a\0b\n"\\\u2028',
    "empty text": "",
    "bytes that are text": b"abc",
    "bytes": b"\xff\x00\xfe",
    "naive datetime": datetime(2030, 1, 2, 3, 4, 5, 678901),
    "utc datetime": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    "datetime elsewhere": datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    "date": date(2030, 1, 2),
    "time": time(3, 4, 5, 678901),
    "decimal": Decimal("12.340"),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
    "list": [1, [2, [3, []]], {}],
    "dict": {"a": {"b": [1, None]}, "": 0},
    "forty levels": eval("[" * 40 + "]" * 40),
    "values inside": {"when": [date(2030, 1, 2)], "price": {"eur": Decimal("1.10")}, "raw": [b"\xff"]},
    "large": "x" * 300_000,
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_through_and_back(line: Line, name: str) -> None:
    value = VALUES[name]

    args, kwargs = line.run("interop.echo", value, kwargs={"key": value})

    assert (args, kwargs) == ([value], {"key": value})
    assert type(args[0]) is type(value)


@pytest.mark.parametrize("name", ["bytes", "utc datetime", "date", "time", "decimal", "uuid"])
def test_the_task_sees_the_very_type(line: Line, name: str) -> None:
    value = VALUES[name]

    seen, _ = line.run("interop.types", value)

    assert seen == [type(value).__name__]


def test_not_a_number_comes_through(line: Line) -> None:
    args, _ = line.run("interop.echo", math.nan)

    assert math.isnan(args[0])


def test_a_tuple_is_a_list_on_the_other_side(line: Line) -> None:
    args, _ = line.run("interop.echo", (1, (2, 3)))

    assert args == [[1, [2, 3]]]


def test_no_arguments_at_all(line: Line) -> None:
    assert line.run("interop.echo") == [[], {}]


@pytest.mark.parametrize(
    "value", [timedelta(days=1, microseconds=1), {1, 2, 3}, frozenset("ab")], ids=lambda v: type(v).__name__
)
def test_what_only_we_know_survives_the_way_through_celery(line: Line, value: Any) -> None:
    if line.to_leveret:
        pytest.skip("Celery's client cannot send it")

    args, _ = line.run("interop.echo", value)

    assert args == [value]


BINARY = {"msgpack": b"\xff\x00", "yaml": b"\xff\x00"}


@pytest.mark.parametrize("compression", [None, "gzip", "bzip2", "zstd"])
@pytest.mark.parametrize("serializer", ["json", "msgpack", "yaml"])
def test_every_serializer_with_every_compression(line: Line, serializer: str, compression: str | None) -> None:
    value = {"text": "wört" * 300, "numbers": [1, -2.5, None, True], "nested": {"a": {"b": []}}}

    args, kwargs = line.run("interop.echo", value, kwargs={"k": value}, serializer=serializer, compression=compression)

    assert (args, kwargs) == ([value], {"k": value})


@pytest.mark.parametrize("serializer", ["msgpack", "yaml"])
def test_bytes_in_a_binary_serializer(line: Line, serializer: str) -> None:
    assert line.run("interop.types", b"\xff\x00", serializer=serializer)[0] == ["bytes"]


def test_yaml_carries_dates(line: Line) -> None:
    assert line.run("interop.types", date(2030, 1, 2), serializer="yaml")[0] == ["date"]


def test_a_megabyte_of_body(line: Line) -> None:
    text = "0123456789" * 100_000

    assert line.run("interop.echo", text)[0] == [text]
