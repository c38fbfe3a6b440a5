"""An app in memory on simulated time, with the tasks that compositions are made of."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from leveret import testing
from leveret.client import current


@pytest.fixture
def app() -> Iterator[testing.StagedLeveret]:
    before = current.peek()
    yield testing.app()
    current.set_default(before)


@pytest.fixture
def tasks(app: testing.StagedLeveret) -> Any:
    seen: list[Any] = []

    @app.task(name="add")
    def add(x: int, y: int = 0) -> int:
        return x + y

    @app.task(name="total")
    def total(values: list[Any], plus: int = 0) -> Any:
        seen.append(("total", values))
        return sum(values) + plus

    @app.task(name="same")
    def same(value: Any) -> Any:
        return value

    @app.task(name="fail")
    def fail(*values: Any) -> None:
        raise ValueError("as planned")

    @app.task(name="told")
    def told(id: str) -> None:
        seen.append(("told", id))

    @app.task(name="told_all")
    def told_all(request: Any, error: BaseException, traceback: str, tag: str = "") -> None:
        seen.append(("told_all", request.id, request.args, repr(error), traceback, tag))

    return SimpleNamespace(add=add, total=total, same=same, fail=fail, told=told, told_all=told_all, seen=seen)
