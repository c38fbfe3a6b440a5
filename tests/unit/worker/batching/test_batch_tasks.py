"""What batch tasks mean, on an app in memory."""

from datetime import timedelta
from typing import Any

import pytest

from leveret import Batch, Call, Leveret, chord, signals, testing
from leveret.errors import Ignore, Reject, SoftTimeLimitExceeded
from leveret.testing.stage import StagedLeveret


@pytest.fixture
def app() -> StagedLeveret:
    return testing.app()


def batch_task(app: StagedLeveret, run: Any, **options: Any) -> Any:
    batch = options.pop("batch", Batch(size=10, within=2))
    return app.task(batch=batch, name="batch", **options)(run)


def sent(app: StagedLeveret, task: Any, count: int) -> list[Any]:
    results = [task.delay(n, to=f"<{n}>") for n in range(count)]
    app.run_until_idle()
    return results


def test_calls_come_together_each_with_its_arguments_and_its_result(app: StagedLeveret) -> None:
    sizes: list[int] = []

    def double(calls: list[Call]) -> list[Any]:
        sizes.append(len(calls))
        return [[2 * call.args[0], call.kwargs["to"], call.id == call.request.id] for call in calls]

    results = sent(app, batch_task(app, double), 25)

    assert [result.get() for result in results] == [[2 * n, f"<{n}>", True] for n in range(25)]
    assert sizes == [10, 10, 5]


@pytest.mark.parametrize("returned", [None, []])
def test_none_is_a_success_of_all(app: StagedLeveret, returned: Any) -> None:
    results = sent(app, batch_task(app, lambda calls: returned if returned is None else [None for _ in calls]), 3)

    assert [(result.state, result.result) for result in results] == [("SUCCESS", None)] * 3


def test_an_exception_in_the_list_is_that_call_s(app: StagedLeveret) -> None:
    results = sent(
        app, batch_task(app, lambda calls: [ValueError("odd") if c.args[0] % 2 else "even" for c in calls]), 4
    )

    assert [result.state for result in results] == ["SUCCESS", "FAILURE"] * 2
    assert isinstance(results[1].result, ValueError)


def test_a_call_is_settled_by_hand_and_the_rest_by_what_is_returned(app: StagedLeveret) -> None:
    def run(calls: list[Call]) -> list[Any]:
        calls[0].succeed("by hand")
        calls[1].fail(KeyError("by hand"))
        return ["returned"] * len(calls)

    results = sent(app, batch_task(app, run), 3)

    assert [result.state for result in results] == ["SUCCESS", "FAILURE", "SUCCESS"]
    assert (results[0].result, results[2].result) == ("by hand", "returned")


def test_a_call_is_settled_once() -> None:
    app = testing.app()

    def run(calls: list[Call]) -> None:
        calls[0].succeed(1)
        calls[0].fail(ValueError("late"))

    results = sent(app, batch_task(app, run), 2)

    assert results[0].result == 1
    assert "settled already" in str(results[1].result)


def test_what_the_function_raises_is_of_every_call_that_is_open(app: StagedLeveret) -> None:
    def run(calls: list[Call]) -> None:
        calls[1].succeed("in time")
        raise RuntimeError("all")

    results = sent(app, batch_task(app, run), 3)

    assert [result.state for result in results] == ["FAILURE", "SUCCESS", "FAILURE"]
    assert str(results[2].result) == "all"


@pytest.mark.parametrize("returned", [[1], 7, "text", {"a": 1}])
def test_a_result_of_another_shape_fails_the_calls_and_says_what_is_wrong(app: StagedLeveret, returned: Any) -> None:
    results = sent(app, batch_task(app, lambda calls: returned), 3)

    assert {result.state for result in results} == {"FAILURE"}
    assert "batch task" in str(results[0].result)


def test_a_result_that_cannot_be_written_fails_that_call_only(app: StagedLeveret) -> None:
    results = sent(app, batch_task(app, lambda calls: [object(), 1]), 2)

    assert [result.state for result in results] == ["FAILURE", "SUCCESS"]


def test_retries_are_each_call_s_own(app: StagedLeveret) -> None:
    seen: list[list[tuple[int, int]]] = []

    def run(calls: list[Call]) -> None:
        seen.append([(call.args[0], call.request.retries) for call in calls])
        for call in calls:
            if call.args[0] == 1 and call.request.retries < 2:
                call.retry(countdown=60)
            elif call.args[0] == 2:
                call.retry(exc=OSError("down"), countdown=1, max_retries=1)
            else:
                call.succeed(call.request.retries)

    results = sent(app, batch_task(app, run), 3)
    app.advance("5 minutes")

    assert [result.state for result in results] == ["SUCCESS", "SUCCESS", "FAILURE"]
    assert results[1].result == 2
    assert isinstance(results[2].result, OSError)
    assert seen == [[(0, 0), (1, 0), (2, 0)], [(2, 1)], [(1, 1)], [(1, 2)]]


def test_the_policy_of_the_task_retries_what_failed(app: StagedLeveret) -> None:
    def run(calls: list[Call]) -> list[Any]:
        if calls[0].request.retries == 0 and len(calls) == 2:
            raise OSError("both")
        return [OSError("again") if c.args[0] == 1 and c.request.retries < 2 else c.request.retries for c in calls]

    results = sent(app, batch_task(app, run, autoretry_for=(OSError,), default_retry_delay=10), 2)
    app.advance(60)

    assert [result.get() for result in results] == [1, 2]


def test_self_retry_retries_all_that_are_open_and_each_up_to_its_limit(app: StagedLeveret) -> None:
    runs: list[int] = []

    def run(self: Any, calls: list[Call]) -> None:
        runs.append(len(calls))
        calls[0].succeed("first")
        raise self.retry(countdown=5, exc=ValueError("not yet"))

    task = batch_task(app, run, bind=True, max_retries=2)
    results = sent(app, task, 2)
    app.advance(60)

    assert [result.state for result in results] == ["SUCCESS", "SUCCESS"]
    assert runs == [2, 1]


def test_reject_and_ignore_mean_what_they_mean_elsewhere(app: StagedLeveret) -> None:
    results = sent(app, batch_task(app, lambda calls: [Reject("bad"), Ignore(), "good"]), 3)

    assert [result.state for result in results] == ["FAILURE", "PENDING", "SUCCESS"]


def test_links_errbacks_and_chords_are_each_call_s(app: StagedLeveret) -> None:
    told: list[Any] = []

    @app.task(name="note")
    def note(what: Any) -> None:
        told.append(what)

    @app.task(name="total")
    def total(values: list[int]) -> int:
        return sum(values)

    task = batch_task(app, lambda calls: [ValueError("no") if c.args[0] < 0 else c.args[0] for c in calls])
    task.apply_async((5,), link=note.s())
    failing = task.apply_async((-1,), link_error=note.s())
    body = chord([task.s(n) for n in range(8)])(total.s())
    app.run_until_idle()

    assert body.get() == sum(range(8))
    assert told[0] == 5 and told[1:] == [failing.id]


def test_hooks_and_signals_are_each_call_s() -> None:
    app, heard = testing.app(), []

    class Base(app.Task):  # type: ignore[name-defined,misc] # made at run time
        def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
            if args[0] == 2:
                raise RuntimeError("not this one")

        def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
            heard.append(("success", args[0], retval))

        def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
            heard.append(("failure", args[0], type(exc).__name__))

    def on_prerun(task_id: str, args: Any, **_: Any) -> None:
        heard.append(("prerun", args[0]))

    def on_postrun(task_id: str, args: Any, state: str, **_: Any) -> None:
        heard.append(("postrun", args[0], state))

    got: list[int] = []

    def run(calls: list[Call]) -> list[Any]:
        got.extend(call.args[0] for call in calls)
        return [call.args[0] if call.args[0] else ValueError() for call in calls]

    signals.task_prerun.connect(on_prerun)
    signals.task_postrun.connect(on_postrun)
    try:
        sent(app, batch_task(app, run, base=Base), 3)
    finally:
        signals.task_prerun.disconnect(on_prerun)
        signals.task_postrun.disconnect(on_postrun)

    assert got == [0, 1]
    assert sorted(heard, key=str) == sorted(
        [
            *(("prerun", n) for n in range(3)),
            ("failure", 0, "ValueError"), ("success", 1, 1), ("failure", 2, "RuntimeError"),
            ("postrun", 0, "FAILURE"), ("postrun", 1, "SUCCESS"), ("postrun", 2, "FAILURE"),
        ],
        key=str,
    )  # fmt: skip


def test_a_coroutine_function_gets_batches_too(app: StagedLeveret) -> None:
    async def run(calls: list[Call]) -> list[int]:
        return [call.args[0] + len(calls) for call in calls]

    assert [result.get() for result in sent(app, batch_task(app, run), 4)] == [4, 5, 6, 7]


def test_middleware_and_surroundings_are_around_the_whole(app: StagedLeveret) -> None:
    around: list[str] = []

    class Noting:
        def around_run(self, request: Any, call: Any) -> Any:
            around.append(request.args[0])
            return call()

    app.middleware.append(Noting())  # type: ignore[arg-type] # the half that this run needs
    results = sent(app, batch_task(app, lambda calls: [1] * len(calls)), 3)

    assert [result.get() for result in results] == [1, 1, 1]
    assert around == [0]


def test_expired_and_revoked_calls_are_taken_out_before(app: StagedLeveret) -> None:
    got: list[int] = []
    task = batch_task(app, lambda calls: got.extend(call.args[0] for call in calls))
    task.delay(1)
    late = task.apply_async((2,), expires=5)
    app.stage.clock.elapsed += 10
    app.run_until_idle()

    assert got == [1]
    assert late.state == "REVOKED"


@pytest.mark.parametrize("eager", [True, False])
def test_apply_and_always_eager_run_a_batch_of_one(eager: bool) -> None:
    app = Leveret("tests", broker="memory://eager", task_always_eager=eager)
    sizes: list[int] = []

    @app.task(batch=Batch(size=10, within=2))
    def run(calls: list[Call]) -> list[Any]:
        sizes.append(len(calls))
        (call,) = calls
        if call.kwargs.get("fail"):
            return [ValueError("failed")]
        if call.request.retries == 0 and call.args[0] == 3:
            call.retry(countdown=100)
            return [None]
        return [call.args[0] * 2]

    call = run.apply_async if eager else run.apply
    assert call((1,)).get() == 2
    assert call((3,)).get() == 6
    with pytest.raises(ValueError, match="failed"):
        call((1,), {"fail": True}).get()
    assert set(sizes) == {1}


def test_called_as_a_function_it_is_one(app: StagedLeveret) -> None:
    assert batch_task(app, lambda calls: len(calls))([1, 2, 3]) == 3


@pytest.mark.parametrize(
    ("batch", "error", "said"),
    [
        (lambda: Batch(size=0), ValueError, "size=0"),
        (lambda: Batch(size=2.5), ValueError, "size=2.5"),  # type: ignore[arg-type]
        (lambda: Batch(within=-1), ValueError, "within=-1"),
        (lambda: Batch(within=timedelta(seconds=1)), ValueError, "within="),  # type: ignore[arg-type]
        (lambda: True, TypeError, "batch=True is no Batch"),
        (lambda: {"size": 3}, TypeError, "is no Batch"),
    ],
)
def test_bad_options_are_refused_where_they_are_written(
    app: StagedLeveret, batch: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        batch_task(app, lambda calls: None, batch=batch())


def test_a_soft_limit_is_an_exception_of_the_function(app: StagedLeveret) -> None:
    def run(calls: list[Call]) -> None:
        calls[0].succeed("done before")
        raise SoftTimeLimitExceeded

    results = sent(app, batch_task(app, run), 2)

    assert [result.state for result in results] == ["SUCCESS", "FAILURE"]
