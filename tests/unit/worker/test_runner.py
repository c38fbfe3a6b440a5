import asyncio
import contextlib
import inspect

import pytest
from tests.unit.worker.rig import CLOCK, CODEC

from leveret.errors import MaxRetriesExceededError, Reject, Retry
from leveret.model.delivery import Receipt
from leveret.model.message import Message, TaskId
from leveret.model.outcome import Failed, Finished, Rejected, Retried, Succeeded, Unstarted
from leveret.model.request import CURRENT
from leveret.model.task import RetryPolicy, TaskDefinition
from leveret.ports.executor import Job
from leveret.worker.runner import Runner


class Page:
    def __init__(self, hold=False):
        self.hold, self.story = hold, []

    def begin(self, slot, job, now):
        self.story.append(("begin", slot, job.message.id))

    def end(self, slot):
        self.story.append(("end", slot))

    def beat(self, unsettled_since):
        raise AssertionError("the runner does not beat")


class Hooked:
    """What `@app.task(base=...)` would return."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args: self.calls.append((name, *args))


HOOKS = frozenset({"before_start", "on_success", "on_failure", "on_retry", "after_return"})


def run(function, page=None, runner=None, attempt=0, args=(), **options) -> Finished:
    definition = TaskDefinition(name="t", run=function, is_async=inspect.iscoroutinefunction(function), **options)
    message = Message(id=TaskId("id"), task="t", args=args, attempt=attempt)
    runner = runner or Runner(codec=CODEC, clock=CLOCK, page=page)
    job = Job(Receipt("r"), message, definition, 1)
    if definition.is_async:
        return asyncio.run(runner.run_async(job, 3))
    return runner.run(job, 3)


def fail(error):
    raise error


def test_a_value_is_encoded_inside_the_run():
    assert run(lambda: {"a": (1, 2)}).outcome == Succeeded({"a": (1, 2)}, b'{"a":[1,2]}')


def test_a_value_that_cannot_be_written_is_a_failure_that_names_its_path():
    outcome = run(lambda: {"a": [object()]}, retry=RetryPolicy(autoretry_for=(Exception,))).outcome

    assert isinstance(outcome, Failed) and "result.a[0]" in outcome.error.text


def test_an_ignored_value_is_not_written_at_all():
    assert isinstance(run(object, ignore_result=True).outcome, Succeeded)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), ValueError("x")])
def test_nothing_gets_past_the_runner(error):
    outcome = run(lambda: fail(error)).outcome

    assert isinstance(outcome, Failed) and outcome.error.type == type(error).__name__
    assert CURRENT.get() is None


def test_coroutine_functions_end_in_the_same_outcomes():
    async def twice(n):
        await asyncio.sleep(0)
        if n < 0:
            raise ValueError(n)
        return n * 2

    assert run(twice, args=(4,)).outcome == Succeeded(8, b"8")
    assert run(twice, args=(-1,)).outcome.error.type == "ValueError"


def test_the_page_says_what_runs_only_while_it_runs():
    page = Page()
    run(lambda: page.story.append("user code"), page)
    assert page.story == [("begin", 3, "id"), "user code", ("end", 3)]


def test_a_held_page_starts_nothing():
    page = Page(hold=True)
    assert isinstance(run(lambda: fail(AssertionError()), page).outcome, Unstarted)
    assert page.story == []


def test_a_bound_task_gets_itself():
    assert run(lambda self, x: (self, x), args=(1,), bind=True, task="itself").outcome.value == ("itself", 1)


def test_autoretry_until_the_limit_then_the_error_itself():
    policy = RetryPolicy(autoretry_for=(OSError,), max_retries=2, default_retry_delay=7.0)

    first = run(lambda: fail(OSError("net")), retry=policy).outcome
    last = run(lambda: fail(OSError("net")), retry=policy, attempt=2).outcome

    assert isinstance(first, Retried) and (first.delay, first.error.type) == (7.0, "OSError")
    assert isinstance(last, Failed) and last.error.type == "OSError"


def test_words_are_never_retried_automatically():
    policy = RetryPolicy(autoretry_for=(Exception,))
    assert run(lambda: fail(Reject("no")), retry=policy).outcome == Rejected("no")


def test_past_the_limit_the_outcome_is_the_error_that_was_retried():
    def past():
        try:
            fail(KeyError("the cause"))
        except KeyError as error:
            raise MaxRetriesExceededError("too often") from error

    assert run(past).outcome.error.type == "KeyError"
    assert run(lambda: fail(MaxRetriesExceededError("mine"))).outcome.error.type == "MaxRetriesExceededError"


def test_a_retry_that_was_not_thrown_is_honoured_at_the_end():
    def later():
        error = Retry("later")
        error.outcome = Retried(delay=2.0)
        CURRENT.get().pending_retry = error
        return "unused"

    assert run(later).outcome == Retried(delay=2.0)


def test_expected_errors_are_marked():
    assert run(lambda: fail(KeyError(1)), throws=(KeyError,)).outcome.expected is True
    assert run(lambda: fail(ValueError(1)), throws=(KeyError,)).outcome.expected is False


def test_hooks_are_called_in_celerys_order_and_shape():
    good, bad, again = Hooked(), Hooked(), Hooked()

    run(lambda x: x, args=(1,), task=good, hooks=HOOKS)
    run(lambda: fail(ValueError("no")), task=bad, hooks=HOOKS)
    run(lambda: fail(Retry("again", exc=KeyError("k"))), task=again, hooks=HOOKS)

    assert good.calls == [
        ("before_start", "id", (1,), {}),
        ("on_success", 1, "id", (1,), {}),
        ("after_return", "SUCCESS", 1, "id", (1,), {}, None),
    ]
    assert [(call[0], *call[2:5]) for call in bad.calls[1:2]] == [("on_failure", "id", (), {})]
    assert "ValueError: no" in str(bad.calls[1][5]) and bad.calls[2][1] == "FAILURE"
    assert isinstance(again.calls[1][1], KeyError) and again.calls[2][1] == "RETRY"


def test_a_hook_that_raises_is_reported_and_changes_nothing():
    class Broken(Hooked):
        def on_success(self, *args):
            raise RuntimeError("hook")

    told = []
    runner = Runner(codec=CODEC, clock=CLOCK, hook_failed=lambda name, message, error: told.append((name, str(error))))

    outcome = run(lambda: 1, runner=runner, task=Broken(), hooks=HOOKS).outcome

    assert isinstance(outcome, Succeeded) and told == [("on_success", "hook")]


def test_the_request_says_what_runs():
    request = run(lambda: CURRENT.get(), attempt=2, ignore_result=True).outcome.value
    assert (request.id, request.retries, request.called_directly) == ("id", 2, False)


def test_what_the_task_sent_is_told_with_its_outcome():
    child = (("child", None), None)

    def parent(fails):
        CURRENT.get().children.append(child)
        return 1 / 0 if fails else 1

    async def aparent(fails):
        return parent(fails)

    for function in (parent, aparent):
        assert run(function, args=(False,)).children == (child,)
        assert run(function, args=(True,)).children == (child,)


class Around:
    """A surrounding that writes down what it sees."""

    def __init__(self, story, entering=None, leaving=None):
        self.story, self.entering, self.leaving = story, entering, leaving

    @contextlib.contextmanager
    def around(self, request):
        self.story.append(("enter", request.id))
        if self.entering:
            raise self.entering
        try:
            yield
        except BaseException as error:
            self.story.append(error)
            raise
        finally:
            self.story.append("leave")
            if self.leaving:
                raise self.leaving

    @contextlib.asynccontextmanager
    async def around_async(self, request):
        with self.around(request):
            yield


def surrounded(function, kind, runner, **options):
    if kind == "plain":
        return run(function, runner=runner, **options).outcome

    async def task():
        return function()

    return run(task, runner=runner, **options).outcome


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_surroundings_hold_from_before_the_first_hook_until_after_the_last(kind):
    story = []
    task = Hooked()
    task.calls = story
    runner = Runner(codec=CODEC, clock=CLOCK, surroundings=(Around(story), Around(story)))

    outcome = surrounded(lambda: story.append("run"), kind, runner, hooks=HOOKS, task=task)

    assert isinstance(outcome, Succeeded)
    assert [one[0] if isinstance(one, tuple) else one for one in story] == [
        "enter", "enter", "before_start", "run", "on_success", "after_return", "leave", "leave",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_surroundings_see_the_error_and_the_outcome_is_the_tasks_own(kind):
    story, error = [], ValueError("x")
    runner = Runner(codec=CODEC, clock=CLOCK, surroundings=(Around(story),))

    outcome = surrounded(lambda: fail(error), kind, runner)

    assert isinstance(outcome, Failed) and outcome.error.type == "ValueError"
    assert story == [("enter", "id"), error, "leave"]


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_a_run_whose_surroundings_cannot_be_entered_has_failed(kind):
    story = []
    runner = Runner(codec=CODEC, clock=CLOCK, surroundings=(Around(story), Around(story, entering=OSError("no"))))

    outcome = surrounded(lambda: story.append("run"), kind, runner)

    assert isinstance(outcome, Failed) and outcome.error.type == "OSError"
    assert "run" not in story and story[-1] == "leave"


@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_what_leaving_surroundings_raises_is_told_and_changes_nothing(kind):
    told = []
    runner = Runner(
        codec=CODEC,
        clock=CLOCK,
        surroundings=(Around([], leaving=OSError("late")),),
        hook_failed=lambda name, message, error: told.append((name, str(error))),
    )

    assert surrounded(lambda: 7, kind, runner) == Succeeded(7, b"7")
    assert told == [("the surroundings", "late")]
