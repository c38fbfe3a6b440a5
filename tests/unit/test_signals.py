"""Signals: connected and sent as Celery's are; each case is also tried on Celery's own class."""

import gc

import celery.signals
import pytest
from celery.utils.dispatch import Signal as CelerySignal

from leveret import signals, testing
from leveret.signals import Signal

KINDS = pytest.mark.parametrize("kind", [Signal, CelerySignal], ids=["leveret", "celery"])


@KINDS
def test_connect_send_disconnect(kind) -> None:
    signal, seen = kind(name="x"), []

    def receiver(sender=None, number=None, **kwargs):
        seen.append((sender, number, kwargs["signal"] is signal))
        return number

    assert signal.connect(receiver) is not None
    assert signal.send(sender="me", number=1) == [(receiver, 1)]
    assert signal.send_robust("you", number=2) == [(receiver, 2)]
    assert signal.has_listeners()
    assert signal.disconnect(receiver) is True and signal.disconnect(receiver) is False
    assert signal.send(sender="me", number=3) == [] and not signal.has_listeners()
    assert seen == [("me", 1, True), ("you", 2, True)]


@KINDS
def test_only_what_a_sender_sends(kind) -> None:
    signal, seen = kind(name="x"), []
    one, other = object(), object()

    @signal.connect(sender=one)
    def of_one(**kwargs):
        seen.append("one")

    @signal.connect(sender="w1@host")
    def of_name(**kwargs):
        seen.append("name")

    @signal.connect
    def of_all(**kwargs):
        seen.append("all")

    for sender in (one, other, "w1@" + "host"):
        signal.send(sender=sender)
    assert seen == ["one", "all", "all", "name", "all"]


@KINDS
def test_a_receiver_is_connected_once_and_by_its_name_once(kind) -> None:
    signal, seen = kind(name="x"), []

    def receiver(**kwargs):
        seen.append(1)

    def another(**kwargs):
        seen.append(2)

    signal.connect(receiver)
    signal.connect(receiver)
    signal.connect(receiver, dispatch_uid="a")
    signal.connect(another, dispatch_uid="a")
    signal.send(sender=None)
    assert seen == [1, 1]
    assert signal.disconnect(dispatch_uid="a") is True
    signal.send(sender=None)
    assert seen == [1, 1, 1]


@KINDS
def test_weak_receivers_vanish_and_strong_ones_stay(kind) -> None:
    signal, seen = kind(name="x"), []

    class Holder:
        def hear(self, **kwargs):
            seen.append("method")

    holder = Holder()
    signal.connect(holder.hear)
    signal.connect(lambda **kwargs: seen.append("weak"))
    signal.connect(lambda **kwargs: seen.append("strong"), weak=False)
    gc.collect()
    signal.send(sender=None)
    del holder
    gc.collect()
    signal.send(sender=None)
    assert seen == ["method", "strong", "strong"]


@KINDS
def test_what_a_receiver_raises_is_its_answer(kind) -> None:
    signal = kind(name="x")

    @signal.connect
    def broken(**kwargs):
        raise ValueError("no")

    ((_, error),) = signal.send(sender=None)
    assert isinstance(error, ValueError)
    with pytest.raises(ValueError, match="keyword arguments"):
        signal.connect(lambda: None)


def test_every_signal_of_celerys_is_here_with_its_arguments() -> None:
    for name in celery.signals.__all__:
        ours, theirs = getattr(signals, name), getattr(celery.signals, name)
        assert ours.providing_args >= theirs.providing_args, name


@pytest.fixture
def app():
    return testing.app()


@pytest.fixture
def heard():
    """Every task signal, in the order in which they are sent; receivers are gone with the test."""
    calls = []
    connected = []
    for name in ("task_prerun", "task_postrun", "task_success", "task_failure", "task_retry"):

        def receiver(name=name, signal=None, **named):
            calls.append((name, named))

        getattr(signals, name).connect(receiver, weak=False, dispatch_uid="test")
        connected.append(getattr(signals, name))
    yield calls
    for signal in connected:
        signal.disconnect(dispatch_uid="test")


def test_around_a_run_that_succeeds(app, heard) -> None:
    @app.task(name="s.add")
    def add(a, b):
        return a + b

    result = add.delay(1, b=2)
    app.run_until_idle()

    assert [name for name, _ in heard] == ["task_prerun", "task_success", "task_postrun"]
    before, success, after = (named for _, named in heard)
    # Not among Celery's arguments.
    assert before.pop("request").id == result.id
    assert before == {"sender": add, "task_id": result.id, "task": add, "args": (1,), "kwargs": {"b": 2}}
    assert success["result"] == 3 and success["runtime"] >= 0 and success["sender"] == add
    assert (after["retval"], after["state"], after["task_id"]) == (3, "SUCCESS", result.id)


def test_around_a_failure_and_a_retry(app, heard) -> None:
    @app.task(name="s.bad", bind=True, max_retries=1)
    def bad(self):
        raise self.retry(exc=KeyError("x"), countdown=0)

    result = bad.delay()
    app.run_until_idle()

    names = [name for name, _ in heard]
    assert names == ["task_prerun", "task_retry", "task_postrun", "task_prerun", "task_failure", "task_postrun"]
    retry, failure = heard[1][1], heard[4][1]
    assert retry["request"].id == result.id and "KeyError" in str(retry["reason"].exc.__class__)
    assert heard[2][1]["state"] == "RETRY" and heard[5][1]["state"] == "FAILURE"
    assert failure["task_id"] == result.id and isinstance(failure["exception"], KeyError)
    assert "KeyError" in str(failure["einfo"])


def test_a_failure_comes_with_its_traceback(app, heard) -> None:
    @app.task(name="s.raises")
    def raises():
        raise ValueError("no")

    raises.delay()
    app.run_until_idle()

    failure = next(named for name, named in heard if name == "task_failure")
    assert failure["traceback"] is not None and "in raises" in str(failure["einfo"])


def test_async_receivers_are_awaited_around_both_kinds_of_tasks(app) -> None:
    seen = []

    @signals.task_prerun.connect
    async def before(task=None, **kwargs):
        seen.append(task.name)

    @app.task(name="s.plain")
    def plain():
        return len(seen)

    @app.task(name="s.coroutine")
    async def coroutine():
        return len(seen)

    first, second = plain.delay(), coroutine.delay()
    app.run_until_idle()

    signals.task_prerun.disconnect(before)
    assert (first.get(), second.get()) == (1, 2) and seen == ["s.plain", "s.coroutine"]


def test_what_is_about_to_be_sent_may_be_changed(app) -> None:
    seen = []

    @signals.before_task_publish.connect(sender="s.look")
    def before(headers=None, body=None, properties=None, routing_key=None, **kwargs):
        seen.append((headers["task"], list(body[0]), routing_key, properties["correlation_id"] == headers["id"]))
        headers["trace"] = "abc"
        body[1]["extra"] = 5

    @signals.after_task_publish.connect
    def after(sender=None, headers=None, **kwargs):
        seen.append((sender, headers["trace"]))

    @app.task(name="s.look", bind=True)
    def look(self, a, extra=0):
        return [self.request.get("trace"), a, extra]

    result = look.delay(1)
    app.run_until_idle()

    signals.before_task_publish.disconnect(before, sender="s.look")
    signals.after_task_publish.disconnect(after)
    assert result.get() == ["abc", 1, 5]
    assert seen == [("s.look", [1], "default", True), ("s.look", "abc")]
