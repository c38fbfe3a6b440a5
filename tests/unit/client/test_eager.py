"""Tasks run here and now."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from leveret import EagerResult, Task, testing
from leveret.errors import Cancel, EncodeError, Ignore, Reject


def test_arguments_and_result_are_serialised_as_a_broker_would(app: testing.StagedLeveret) -> None:
    @app.task
    def echo(value: Any) -> Any:
        return {"got": value, "pair": (1, 2)}

    assert echo.apply(((1, datetime(2020, 1, 1)),)).get() == {"got": [1, datetime(2020, 1, 1)], "pair": [1, 2]}
    with pytest.raises(EncodeError):
        echo.apply((object(),))


def test_always_eager_turns_every_call_into_a_run(app: testing.StagedLeveret) -> None:
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    app.conf.task_always_eager = True

    assert isinstance(add.delay(1, 2), EagerResult)
    assert add.s(1).apply_async((2,)).get() == 3
    assert (add.s(1, 1) | add.s(5)).delay().get() == 7
    assert app.send_task(add.name, (1, 2)).get() == 3
    assert [result.get() for result in app.send_many([add.s(1, 1), add.s(2, 2)])] == [2, 4]
    assert app.sent() == []


def test_always_eager_turns_coroutine_calls_into_runs_too(app: testing.StagedLeveret) -> None:
    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    app.conf.task_always_eager = True

    async def main() -> list[int]:
        by_name = await app.asend_task(add.name, (1, 2))
        many = await app.asend_many([add.s(1, 1)])
        return [await by_name, await many[0], await (await add.adelay(2, 2))]

    assert asyncio.run(main()) == [3, 2, 4]
    assert app.sent() == []


def test_a_failure_is_kept_or_raised_as_the_setting_says(app: testing.StagedLeveret) -> None:
    @app.task
    def fail() -> None:
        raise ValueError("no")

    app.conf.task_always_eager = True
    kept = fail.delay()
    assert (kept.state, str(kept.result), kept.failed()) == ("FAILURE", "no", True)
    with pytest.raises(ValueError, match="no"):
        kept.get()

    app.conf.task_eager_propagates = True
    with pytest.raises(ValueError, match="no"):
        fail.delay()
    assert fail.apply(throw=False).failed()


def test_retries_follow_at_once_until_they_are_used_up(app: testing.StagedLeveret) -> None:
    attempts: list[int] = []

    @app.task(bind=True, max_retries=2)
    def by_hand(self: Task[..., Any]) -> None:
        attempts.append(self.request.retries)
        raise self.retry(exc=OSError("down"), countdown=3600)

    @app.task(autoretry_for=(OSError,), max_retries=1)
    def by_itself() -> None:
        attempts.append(-1)
        raise OSError("down")

    assert isinstance(by_hand.apply().result, OSError)
    assert isinstance(by_itself.apply().result, OSError)
    assert attempts == [0, 1, 2, -1, -1]


def test_predicates_become_states(app: testing.StagedLeveret) -> None:
    @app.task
    def ends(error: str) -> None:
        raise {"ignore": Ignore(), "reject": Reject("bad"), "cancel": Cancel("why")}[error]

    assert [ends.apply((kind,)).state for kind in ("ignore", "reject", "cancel")] == ["IGNORED", "REJECTED", "REVOKED"]


def test_links_run_too(app: testing.StagedLeveret) -> None:
    seen: list[Any] = []

    @app.task
    def note(value: Any) -> None:
        seen.append(value)

    @app.task
    def half(value: int) -> float:
        return value / 0 if value < 0 else value / 2

    half.apply((4,), link=note.s())
    failed = half.apply((-1,), link_error=note.s())

    assert seen == [2.0, failed.id]


def test_coroutine_tasks_run_with_and_without_a_loop(app: testing.StagedLeveret) -> None:
    @app.task
    async def double(x: int) -> int:
        await asyncio.sleep(0)
        return 2 * x

    async def main() -> tuple[int, int]:
        with pytest.raises(RuntimeError, match="aapply"):
            double.apply((1,), throw=True)
        return await (await double.aapply((2,))), (await double.aapply((3,))).get()

    assert double.apply((1,)).get() == 2
    assert asyncio.run(main()) == (4, 6)


def test_eager_results_are_stored_where_asked_for(app: testing.StagedLeveret) -> None:
    @app.task
    def half(x: int) -> float:
        return 1 / x

    app.conf.task_store_eager_result = True

    assert app.AsyncResult(half.apply((2,)).id).get() == 0.5
    with pytest.raises(ZeroDivisionError):
        app.AsyncResult(half.apply((0,)).id).get()
