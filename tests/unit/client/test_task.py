"""What `@app.task` returns."""

from datetime import timedelta
from typing import Any

import pytest

from leveret import Task, shared_task, testing
from leveret.client import current
from leveret.errors import AlreadyRegistered, LeveretWarning, MaxRetriesExceededError, NotRegistered


def test_a_task_is_still_a_function(app: testing.StagedLeveret) -> None:
    @app.task
    def add(x: int, y: int = 1) -> int:
        """Adds."""
        return x + y

    assert add(1, 2) == 3
    assert add.__name__ == "add"
    assert add.__doc__ == "Adds."
    assert add.name == f"{__name__}.add"
    assert app.tasks[add.name] is add


def test_options_become_attributes_and_the_definition(app: testing.StagedLeveret) -> None:
    @app.task(name="shop.mail", queue="mail", max_retries=5, retry_backoff=True, time_limit=timedelta(minutes=2))
    def mail() -> None: ...

    definition = mail.definition

    assert (mail.name, mail.queue, mail.max_retries) == ("shop.mail", "mail", 5)
    assert definition.time_limit == 120.0
    assert definition.retry.retry_backoff == 1.0
    assert definition.acks_late is True


def test_a_misspelt_option_names_the_nearest(app: testing.StagedLeveret) -> None:
    with pytest.raises(TypeError, match="did you mean 'max_retries'"):
        app.task(max_retry=3)(lambda: None)  # type: ignore[call-overload]


def test_settings_decide_what_the_task_leaves_open_until_they_change(app: testing.StagedLeveret) -> None:
    @app.task
    def open_minded() -> None: ...

    @app.task(ignore_result=False)
    def decided() -> None: ...

    assert open_minded.definition.ignore_result is False
    app.conf.task_ignore_result = True

    assert open_minded.definition.ignore_result is True
    assert decided.definition.ignore_result is False


def test_an_attribute_set_later_counts_from_the_next_call(app: testing.StagedLeveret) -> None:
    @app.task
    def job() -> None: ...

    job.delay()
    job.queue = "other"
    job.delay()

    assert [call.message.queue for call in app.sent(job)] == ["default", "other"]


def test_annotations_override_the_task(app: testing.StagedLeveret) -> None:
    @app.task(name="a.b", rate_limit="1/s")
    def job() -> None: ...

    app.conf.task_annotations = {"*": {"max_retries": 9}, "a.b": {"rate_limit": "10/m"}}

    assert (job.definition.rate_limit, job.definition.retry.max_retries) == ("10/m", 9)


def test_arguments_are_checked_at_the_call(app: testing.StagedLeveret) -> None:
    @app.task
    def add(x: int, y: int = 0) -> int:
        return x + y

    @app.task(typing=False)
    def loose(x: int) -> int:
        return x

    for args, kwargs in [((), {}), ((1, 2, 3), {}), ((1,), {"x": 2}), ((1,), {"z": 2}), ((), {"y": 1})]:
        with pytest.raises(TypeError, match="add"):
            add.delay(*args, **kwargs)
    add.delay(1)
    add.delay(x=1)
    add.delay(1, y=2)
    loose.delay()  # type: ignore[call-arg]
    assert len(app.sent()) == 4


def test_keyword_only_and_variable_arguments_are_checked(app: testing.StagedLeveret) -> None:
    @app.task
    def odd(a: int, *rest: int, flag: bool, **more: int) -> None: ...

    odd.delay(1, 2, 3, flag=True, other=4)
    with pytest.raises(TypeError, match="flag"):
        odd.delay(1)  # type: ignore[call-arg]


def test_bind_passes_the_task_and_is_no_part_of_a_call(app: testing.StagedLeveret) -> None:
    @app.task(bind=True)
    def whoami(self: Task[..., Any], x: int) -> tuple[str, str | None]:
        return self.name, self.request.id

    result = whoami.delay(1)

    assert result.get() == [whoami.name, result.id]
    assert whoami(1) == (whoami.name, None)


def test_a_wrong_name_is_told(app: testing.StagedLeveret) -> None:
    @app.task
    def plain() -> None: ...

    with pytest.raises(AttributeError, match="no attribute 'dely'"):
        plain.dely()  # type: ignore[attr-defined]


def test_a_global_self_without_bind_is_warned_about(app: testing.StagedLeveret) -> None:
    shared = current.shared()
    with pytest.warns(LeveretWarning, match="bind=True") as seen:

        @app.task
        def forgot() -> None:
            self.retry()  # type: ignore[name-defined] # noqa: F821

        @shared_task(queue="q")
        def too() -> None:
            self.retry()  # type: ignore[name-defined] # noqa: F821

    current.restore(shared)
    assert [one.filename for one in seen if one.category is LeveretWarning] == [__file__] * 2


def test_a_base_class_brings_hooks_and_its_own_call(app: testing.StagedLeveret) -> None:
    seen: list[str] = []

    class Base(Task[..., Any]):
        colour = "none"

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            seen.append("call")
            return super().__call__(*args, **kwargs)

        def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
            seen.append(f"success {retval}")

        def on_failure(self, exc: Exception, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
            seen.append(f"failure {exc}")

        def after_return(self, status: str, *rest: Any) -> None:
            seen.append(status)

    @app.task(base=Base, bind=True, colour="red")  # type: ignore[call-overload]
    def work(self: Any, fail: bool) -> str:
        if fail:
            raise ValueError("no")
        assert self.request.id is not None
        return str(self.colour)

    work.delay(False).get()
    work.delay(True).get(propagate=False)

    assert seen == ["call", "success red", "SUCCESS", "call", "failure no", "FAILURE"]


def test_a_class_with_run_is_registered_by_hand(app: testing.StagedLeveret) -> None:
    class Adder(Task[..., int]):
        name = "adder"

        def run(self, x: int, y: int) -> int:
            return x + y

    adder = app.register_task(Adder())

    assert adder.delay(1, 2).get() == 3
    assert adder(3, 4) == 7


def test_two_functions_cannot_share_a_name_but_a_reload_can(app: testing.StagedLeveret) -> None:
    def declare() -> Any:
        @app.task(name="same")
        def same() -> None: ...

        return same

    declare()
    again = declare()

    assert app.tasks["same"] is again
    with pytest.raises(AlreadyRegistered, match="same"):
        app.task(name="same")(print)


def test_an_unknown_task_names_the_nearest(app: testing.StagedLeveret) -> None:
    app.task(name="shop.mail")(lambda: None)

    with pytest.raises(NotRegistered, match=r"did you mean 'shop\.mail'"):
        app.tasks["shop.male"]


def test_retry_past_the_limit_can_be_caught_and_is_the_cause_if_not(app: testing.StagedLeveret) -> None:
    @app.task(bind=True, max_retries=1)
    def careful(self: Task[..., Any], catch: bool) -> str:
        try:
            raise OSError("down")
        except OSError as error:
            try:
                raise self.retry(exc=error, countdown=5)
            except MaxRetriesExceededError:
                if not catch:
                    raise
                return "fallback"

    assert careful.delay(True).get() == "fallback"
    with pytest.raises(OSError, match="down"):
        careful.delay(False).get()


def test_retry_takes_new_arguments_and_a_moment(app: testing.StagedLeveret) -> None:
    @app.task(bind=True)
    def again(self: Task[..., Any], n: int) -> int:
        if n < 3:
            raise self.retry(args=(n + 1,), countdown=timedelta(hours=1), queue="later")
        return n

    result = again.delay(1)
    began = app.clock.elapsed

    assert result.get() == 3
    assert app.clock.elapsed - began == pytest.approx(7200, abs=5)


def test_retry_of_a_direct_call_raises_what_happened(app: testing.StagedLeveret) -> None:
    @app.task(bind=True)
    def broken(self: Task[..., Any]) -> None:
        try:
            raise KeyError("x")
        except KeyError as error:
            self.retry(exc=error)

    with pytest.raises(KeyError):
        broken()


def test_progress_is_seen_by_readers(app: testing.StagedLeveret) -> None:
    states: list[Any] = []

    @app.task(bind=True)
    def slow(self: Task[..., Any]) -> str:
        self.update_state(state="PROGRESS", meta={"done": 1})
        reader = app.AsyncResult(self.request.id)
        states.append((reader.state, reader.info))
        return "end"

    assert slow.delay().get() == "end"
    assert states == [("PROGRESS", {"done": 1})]
