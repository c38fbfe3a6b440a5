"""Leveret's own test tools, as users meet them."""

from datetime import timedelta
from typing import Any

import pytest

from leveret import Leveret, Task, testing
from leveret.errors import NotRegistered
from leveret.testing.stage import read_duration

pytest_plugins = ("pytester",)


def test_days_pass_at_once_and_everything_due_runs() -> None:
    app = testing.app()
    ran: list[tuple[str, float]] = []

    @app.task
    def remind(name: str) -> None:
        ran.append((name, app.clock.elapsed))

    remind.apply_async(("late",), countdown=timedelta(days=2))
    remind.apply_async(("soon",), countdown=3600)
    remind.apply_async(("never",), countdown=timedelta(days=4))

    assert app.run_until_idle() == 0
    assert app.advance("3 days") == 2
    assert [name for name, _ in ran] == ["soon", "late"]
    assert app.clock.elapsed == pytest.approx(3 * 86400)


def test_what_tasks_send_runs_too_and_is_seen() -> None:
    app = testing.app()

    @app.task
    def child(n: int) -> None: ...

    @app.task
    def parent() -> None:
        child.apply_async((1,), queue="other", priority=5)

    parent.delay()

    assert app.run_until_idle() == 2
    app.assert_sent(child, 1, queue="other", priority=5)
    with pytest.raises(AssertionError, match=r"child\(1\) to queue 'other'"):
        app.assert_sent(child, 2)
    with pytest.raises(AssertionError):
        app.assert_sent(child, 1, queue="default")


def test_an_app_is_on_the_stage_only_inside_using(tmp_path: Any) -> None:
    app = Leveret("shop", broker=f"sqlite:///{tmp_path}/queue.db", set_as_current=False)

    @app.task(bind=True, max_retries=4)
    def flaky(self: Task[..., Any]) -> int:
        if self.request.retries < 3:
            raise self.retry(countdown=3600)
        return self.request.retries

    with testing.using(app) as stage:
        assert flaky.delay().get() == 3
        assert stage.clock.elapsed >= 3 * 3600
        assert len(stage.sent(flaky)) == 1

    assert not (tmp_path / "queue.db").exists()
    assert "queue.db" in app.client.options.address


def test_a_result_that_never_comes_fails_instead_of_hanging() -> None:
    app = testing.app()

    with pytest.raises(testing.NeverComes):
        app.AsyncResult("00000000-0000-4000-8000-000000000000").get()


def test_durations_are_read_from_words() -> None:
    assert read_duration("3 days") == 3 * 86400
    assert read_duration("1 hour 30 minutes") == 5400
    assert read_duration("90s") == 90
    assert read_duration(timedelta(minutes=1)) == read_duration(60) == 60
    with pytest.raises(ValueError, match="no duration"):
        read_duration("soon")


def test_the_pytest_fixtures(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest
        from leveret import Leveret
        app = Leveret("shop", broker="sqlite:///must-not-exist.db")

        @app.task
        def add(x, y=0):
            return x + y

        @pytest.fixture
        def leveret_app():
            return app
        """
    )
    pytester.makepyfile(
        """
        from conftest import add

        def test_it(leveret_worker, sent, assert_sent):
            result = add.apply_async((1,), {"y": 2}, queue="sums", countdown=60)
            assert_sent(add, 1, y=2, queue="sums", countdown=60)
            assert len(sent(add)) == 1
            leveret_worker.advance("1 minute")
            assert result.get() == 3
        """
    )

    outcome = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    outcome.assert_outcomes(passed=1)
    assert not (pytester.path / "must-not-exist.db").exists()


def test_an_unknown_task_is_a_failure_after_a_quarter_of_an_hour() -> None:
    app = testing.app()
    result = app.send_task("nobody.knows")

    app.advance("14 minutes")
    assert result.state == "PENDING"
    app.advance("2 minutes")

    assert result.state == "FAILURE"
    assert isinstance(result.result, NotRegistered)


def test_what_is_revoked_or_paused_by_remote_control_does_not_run() -> None:
    app = testing.app()
    ran: list[str] = []

    @app.task
    def note(name: str) -> None:
        ran.append(name)

    by_id = note.delay("by id")
    note.apply_async(("by stamp",), headers={"customer": "c"}, stamped_headers=["customer"], customer="c")
    note.apply_async(("paused",), queue="slow")
    note.delay("free")
    app.control.revoke(by_id.id)
    app.control.revoke_by_stamped_headers({"customer": "c"})
    app.control.pause(queue="slow")

    app.run_until_idle()

    assert ran == ["free"]
    assert by_id.state == "REVOKED"
    app.control.resume(queue="slow")
    app.run_until_idle()
    assert ran == ["free", "paused"]
