"""`request.carry`: headers for all that follows a run, and for nothing else."""

import threading

import pytest

from leveret import chain, chord, signals, testing
from leveret.testing.stage import StagedLeveret


@pytest.fixture
def app() -> StagedLeveret:
    return testing.app()


def test_what_follows_has_the_headers_and_the_call_beside_it_has_not(app: StagedLeveret) -> None:
    seen: dict[str, list] = {}

    def note(name, request):
        seen.setdefault(name, []).append(request.headers.get("tenant"))

    @app.task(bind=True)
    def first(self):
        note("first", self.request)
        self.request.carry({"tenant": "a", "other": 1})
        beside.delay()
        if not self.request.retries:
            raise self.retry(countdown=0)

    @app.task(bind=True)
    def beside(self):
        note("beside", self.request)

    @app.task(bind=True)
    def following(self, *_):
        note("following", self.request)

    @app.task(bind=True)
    def total(self, *_):
        note("total", self.request)

    chain(first.si().set(link=total.si()), following.si().set(headers={"tenant": "its own"}), following.si()).delay()
    app.run_until_idle()

    assert seen == {
        "first": [None, "a"],
        "beside": [None, None],
        "total": ["a"],
        # What the run says wins; the step after it follows another run.
        "following": ["a", None],
    }


def test_the_body_of_a_chord_and_error_callbacks_have_them(app: StagedLeveret) -> None:
    seen = []

    @app.task(bind=True)
    def member(self, fails=False):
        self.request.carry({"tenant": "a"})
        if fails:
            raise ValueError("no")

    @app.task(bind=True)
    def body(self, values):
        seen.append(("body", self.request.headers.get("tenant")))

    @app.task(bind=True)
    def sorry(self, *_):
        seen.append(("sorry", self.request.headers.get("tenant")))

    chord([member.s(), member.s()], body.s()).delay()
    chord([member.s(), member.s(True)], body.s().on_error(sorry.s())).delay()
    app.run_until_idle()
    assert seen == [("body", "a"), ("sorry", "a")]


def test_a_name_the_message_itself_has_fails_the_run_and_is_told(app: StagedLeveret) -> None:
    @app.task(bind=True)
    def bad(self):
        self.request.carry({"task": "another"})

    @app.task
    def never():
        raise AssertionError("sent after a run that failed")

    heard, told = [], threading.Event()

    def broke(sender, task_id, exception, **_):
        heard.append((sender.name, task_id, str(exception)))
        told.set()

    signals.task_internal_error.connect(broke)
    try:
        result = chain(bad.si(), never.si()).delay()
        app.run_until_idle()
        assert told.wait(5)
    finally:
        signals.task_internal_error.disconnect(broke)
    assert result.parent.state == result.state == "FAILURE"
    assert "headers.task" in str(result.parent.result)
    assert [(name, task_id) for name, task_id, _ in heard] == [(bad.name, result.parent.id)]
    assert "the message itself has a header of that name" in heard[0][2]
