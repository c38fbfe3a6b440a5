"""What an app does for the framework it lives in."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from leveret import Leveret, current_task, testing
from leveret.client import current
from leveret.client.frameworks import adapting
from leveret.errors import ImproperlyConfigured, LeveretWarning
from leveret.model.request import Request

HELD: ContextVar[str] = ContextVar("held", default="")


@pytest.fixture
def app() -> Iterator[testing.StagedLeveret]:
    before = current.peek()
    yield testing.app()
    current.set_default(before)


class Holding:
    @contextmanager
    def around(self, request: Request) -> Iterator[None]:
        token = HELD.set(request.task)
        yield
        HELD.reset(token)

    @asynccontextmanager
    async def around_async(self, request: Request) -> AsyncIterator[None]:
        with self.around(request):
            yield


def test_a_task_run_here_and_now_is_surrounded(app: testing.StagedLeveret) -> None:
    app.surroundings.around.append(Holding())

    @app.task(name="plain")
    def plain() -> str:
        return HELD.get()

    @app.task(name="coroutine")
    async def coroutine() -> str:
        return HELD.get()

    assert plain.apply().get() == "plain"
    assert coroutine.apply().get() == "coroutine"
    assert asyncio.run(_applied(coroutine)) == "coroutine"
    assert HELD.get() == ""


def test_a_task_run_on_a_stage_is_surrounded_but_not_by_what_is_for_worker_processes(
    app: testing.StagedLeveret,
) -> None:
    app.surroundings.around.append(Holding())
    app.surroundings.in_workers.append(_Never())

    @app.task(name="plain")
    def plain() -> str:
        return f"{HELD.get()} {bool(current_task)}"

    assert plain.delay().get() == "plain True"


def test_on_commit_hands_the_send_to_the_framework(app: testing.StagedLeveret) -> None:
    waiting: list[Callable[[], Any]] = []
    app.surroundings.commit_with(waiting.append)

    @app.task
    def add(x: int, y: int = 0) -> int:
        return x + y

    assert add.delay_on_commit(1, y=2) is None  # type: ignore[func-returns-value]
    add.apply_async_on_commit((3,), queue="slow")
    assert app.sent() == []

    for send in waiting:
        send()

    app.assert_sent(add, 1, y=2)
    app.assert_sent(add, 3, queue="slow")


def test_on_commit_refuses_wrong_arguments_where_the_call_is_made(app: testing.StagedLeveret) -> None:
    app.surroundings.commit_with(lambda send: None)

    @app.task
    def add(x: int) -> int:
        return x

    with pytest.raises(TypeError):
        add.delay_on_commit(1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        add.apply_async_on_commit((1, 2))
    with pytest.raises(TypeError, match="did you mean 'queue'"):
        add.apply_async_on_commit((1,), quue="slow")  # type: ignore[call-arg]


def test_on_commit_without_a_framework_says_what_is_missing(app: testing.StagedLeveret) -> None:
    @app.task
    def add() -> None:
        return None

    with pytest.raises(ImproperlyConfigured, match="DJANGO_SETTINGS_MODULE"):
        add.delay_on_commit()


def test_an_app_calls_what_waits_for_its_modules_after_importing_them(app: testing.StagedLeveret) -> None:
    order: list[str] = []
    app.on_after_configure.connect(lambda sender: order.append("configured"))
    app.surroundings.when_imported.append(lambda: order.append("imported"))

    app.import_modules()

    assert order == ["configured", "imported"]


def test_without_django_nothing_is_done_for_it_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "site.settings")
    monkeypatch.setattr("leveret.contrib.django.find_spec", lambda name: None)

    with pytest.warns(LeveretWarning, match="Django is not installed"):
        app = Leveret("site", set_as_current=False)

    assert app.surroundings.in_workers == []


def test_an_app_that_lives_in_no_framework_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in adapting.BY_VARIABLE:
        monkeypatch.delenv(variable, raising=False)

    app = Leveret("plain", set_as_current=False)

    assert app.surroundings.around == app.surroundings.in_workers == app.surroundings.when_imported == []


async def _applied(task: Any) -> Any:
    return (await task.aapply()).get()


class _Never:
    def around(self, request: Request) -> Any:
        raise AssertionError("not in this process")

    around_async = around
