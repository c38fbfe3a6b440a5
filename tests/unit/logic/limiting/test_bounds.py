"""From a task's declaration and a call's arguments to what the gate is asked."""

import pytest

from leveret import CircuitBreaker, Concurrency, Rate, RetryBudget
from leveret.errors import ImproperlyConfigured
from leveret.logic.limiting.bounds import bounds_of, unique_key
from leveret.logic.limiting.keys import MOST_CHARS, arguments_text, key_text
from leveret.model.limiting.declared import Unique
from leveret.model.limiting.gate import BreakerBound, BudgetBound, RateBound, SlotBound, UniqueBound
from leveret.model.message import FIRST_ATTEMPT, UNIQUE, Message, TaskId
from leveret.model.task import TaskDefinition


def message(*args, **fields):
    return Message(id=TaskId("m"), task="mail", args=args, **fields)


def bounds(call, rate_limit=None, **declared):
    definition = TaskDefinition(name="mail", run=print, **declared)
    return bounds_of(definition, "w@here", rate_limit).of(call)


def test_a_rate_has_its_interval_and_a_tenth_of_it_as_burst():
    assert bounds(message(), limits=(Rate("50/s"),)) == (RateBound(key="mail", interval=0.02, burst=5),)
    assert bounds(message(), limits=(Rate("6/m"),)) == (RateBound(key="mail", interval=10.0, burst=1),)
    assert bounds(message(), limits=(Rate("6/m", burst=3),)) == (RateBound(key="mail", interval=10.0, burst=3),)


def test_two_limits_of_a_kind_are_two():
    found = bounds(message(), limits=(Rate("10/s"), Concurrency(3), Rate("100/m")))

    assert [(type(bound), bound.key) for bound in found] == [
        (RateBound, "mail"), (SlotBound, "mail"), (RateBound, "mail 2"),
    ]  # fmt: skip


def test_a_key_function_gets_the_arguments_of_the_call():
    limits = (Rate("1/s", key=lambda to, **_: to.split("@")[1]),)

    (bound,) = bounds(message("ann@home", kwargs={"body": "x"}), limits=limits)

    assert bound.key == "mail:home"


def test_a_key_function_that_raises_is_said_with_the_task():
    with pytest.raises(ImproperlyConfigured, match="of mail raised KeyError: 'to'"):
        bounds(message(), limits=(Rate("1/s", key=lambda **given: given["to"]),))


def test_what_ends_without_a_run_is_told_without_its_bad_key():
    definition = TaskDefinition(name="mail", run=print, limits=(Rate("1/s", key=lambda: 1 / 0), Concurrency(2)))

    assert bounds_of(definition, "w", None).kept(message()) == (SlotBound(key="mail", slots=2),)


def test_a_rate_limit_is_that_of_the_node_without_burst():
    assert bounds(message(), rate_limit="10/m") == (RateBound(key="mail on w@here", interval=6.0, burst=1),)
    assert bounds(message(), rate_limit="0") == ()


def test_only_retries_are_asked_of_their_budget():
    budget = RetryBudget()
    replaced = message(attempt=4, settings={FIRST_ATTEMPT: 4})

    assert bounds(message(), retry_budget=budget) == ()
    assert bounds(replaced, retry_budget=budget) == ()
    assert bounds(message(attempt=1), retry_budget=budget) == (BudgetBound(key="mail", share=0.1, per_second=10.0),)


def test_the_unique_key_is_the_one_the_sender_gave():
    unique = Unique(seconds=60.0, until_start=True, key=lambda to: to)
    sent = message("ann", settings={UNIQUE: "mail:ann"})

    assert bounds(sent, unique=unique) == (UniqueBound(key="mail:ann", until_start=True),)
    assert bounds(message("ann"), unique=unique) == ()
    assert bounds(message("ann", settings={UNIQUE: 3}), unique=unique) == ()


def test_the_unique_key_names_the_task_and_what_its_function_answers():
    definition = TaskDefinition(name="mail", run=print, unique=Unique(seconds=60.0, key=lambda to: to))

    assert unique_key(definition, ("ann",), {}) == "mail:ann"
    with pytest.raises(ImproperlyConfigured, match="TypeError"):
        unique_key(definition, (), {})


def test_a_breaker_is_asked_under_its_key():
    breaker = CircuitBreaker(failures=2, within=5, recover=7, key=lambda host: host)

    assert bounds(message("db"), breaker=breaker) == (BreakerBound(key="mail:db", failures=2, within=5.0, recover=7.0),)


def test_a_long_key_is_cut_and_still_its_own():
    one, other = key_text("a" * 500 + "1"), key_text("a" * 500 + "2")

    assert len(one) == MOST_CHARS
    assert one != other
    assert key_text("short") == "short"
    assert key_text(7) == "7"
    assert key_text("\ud800" * 200)


def test_arguments_are_the_same_in_any_order():
    assert arguments_text({"a": {"x": 1, "y": {1, 2}}}) == arguments_text({"a": {"y": {2, 1}, "x": 1}})
    assert arguments_text({"a": (1, 2)}) == arguments_text({"a": [1, 2]})
    assert arguments_text({"a": 1}) != arguments_text({"a": "1"})
    assert arguments_text({"a": {(1, 2): 3}}) == arguments_text({"a": {(1, 2): 3}})
