"""Options that limit a task: what is wrong is refused at decoration, by task, option and value."""

from datetime import timedelta

import pytest

from leveret import CircuitBreaker, Concurrency, Rate, RetryBudget, Task, shared_task, testing
from leveret.errors import ImproperlyConfigured


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limits": "10/s"}, "limits='10/s'"),
        ({"limits": 5}, "limits=5"),
        ({"limits": [Rate("1/s"), "2/s"]}, "limits='2/s'"),
        ({"rate_limit": "10/d"}, "rate_limit='10/d'"),
        ({"rate_limit": "often"}, "rate_limit='often'"),
        ({"unique_for": 0}, "unique_for=0"),
        ({"unique_for": "60"}, "unique_for='60'"),
        ({"unique_for": True}, "unique_for=True"),
        ({"unique_for": 60, "unique_until": "end"}, "unique_until='end'"),
        ({"unique_for": 60, "on_conflict": "drop"}, "on_conflict='drop'"),
        ({"unique_for": 60, "unique_by": "id"}, "unique_by='id'"),
        ({"unique_until": "start"}, "unique_until='start' says nothing without unique_for"),
        ({"on_conflict": "raise"}, "on_conflict='raise' says nothing without unique_for"),
        ({"unique_by": len}, "unique_by=len says nothing without unique_for"),
        ({"breaker": 5}, "breaker=5"),
        ({"breaker": CircuitBreaker}, "breaker=CircuitBreaker"),
        ({"breaker": CircuitBreaker(), "fallback": "none"}, "fallback='none'"),
        ({"fallback": len}, "fallback=len would never run"),
        ({"retry_budget": 0.1}, "retry_budget=0.1"),
    ],
)
def test_a_bad_option_is_named(app: testing.StagedLeveret, options, said):
    with pytest.raises(ImproperlyConfigured) as caught:

        @app.task(name="a.b", **options)
        def job() -> None: ...

    assert str(caught.value).startswith("a.b: ")
    assert said in str(caught.value)


def test_shared_tasks_and_classes_are_checked_too(app: testing.StagedLeveret):
    class Mine(Task):
        name = "mine"
        limits = (3,)

        def run(self) -> None: ...

    with pytest.raises(ImproperlyConfigured, match="mine: limits=3"):
        app.register_task(Mine())
    with pytest.raises(ImproperlyConfigured, match="limits=3"):

        @shared_task(limits=3)
        def job() -> None: ...


def test_a_definition_has_them(app: testing.StagedLeveret):
    @app.task(
        limits=[Rate("5/s"), Concurrency(2)], unique_for=timedelta(minutes=1), unique_until="start",
        on_conflict="replace", breaker=CircuitBreaker(), fallback=print, retry_budget=RetryBudget(share=0.5),
    )  # fmt: skip
    def job() -> None: ...

    found = job.definition
    assert found.limits == (Rate("5/s"), Concurrency(2))
    assert found.unique is not None
    assert (found.unique.seconds, found.unique.until_start, found.unique.conflict) == (60.0, True, "replace")
    assert found.breaker == CircuitBreaker()
    assert found.fallback is print
    assert found.retry_budget == RetryBudget(share=0.5)
    assert found.limited


def test_a_task_without_limits_is_not_limited(app: testing.StagedLeveret):
    @app.task
    def job() -> None: ...

    assert not job.definition.limited


def test_retry_budgets_are_on_except_under_the_celery_profile(app: testing.StagedLeveret):
    @app.task
    def job() -> None: ...

    @app.task(retry_budget=None)
    def without() -> None: ...

    assert job.definition.retry_budget == RetryBudget()
    assert without.definition.retry_budget is None
    app.conf.profile = "celery"
    assert job.definition.retry_budget is None
    app.conf.task_retry_budget = True
    assert job.definition.retry_budget == RetryBudget()
    app.conf.task_retry_budget = RetryBudget(per_second=1)
    assert job.definition.retry_budget == RetryBudget(per_second=1)


def test_rate_limits_come_from_the_task_its_annotation_or_the_setting(app: testing.StagedLeveret):
    @app.task(name="a")
    def first() -> None: ...

    @app.task(name="b", rate_limit=5)
    def second() -> None: ...

    app.conf.task_default_rate_limit = "3/m"
    assert (first.definition.rate_limit, second.definition.rate_limit) == ("3/m", "5")
    app.conf.task_annotations = {"b": {"rate_limit": "9/h"}}
    assert second.definition.rate_limit == "9/h"
    app.conf.worker_disable_rate_limits = True
    assert (first.definition.rate_limit, second.definition.limited) == (None, False)


def test_a_bad_rate_in_the_settings_is_refused(app: testing.StagedLeveret):
    with pytest.raises(ImproperlyConfigured, match="task_default_rate_limit is 'x'"):
        app.conf.task_default_rate_limit = "x"
