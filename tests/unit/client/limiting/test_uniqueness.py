"""Unique tasks: one message for each key, by every way of sending one."""

import asyncio
import threading
from dataclasses import replace

import pytest

from leveret import Concurrency, Leveret, group, testing
from leveret.errors import ImproperlyConfigured, LeveretWarning, PublishFailed, PublishUnknown, TaskAlreadySent
from leveret.model.limiting.gate import Wish


@pytest.fixture
def unique(app: testing.StagedLeveret):
    @app.task(name="mail", unique_for=60)
    def mail(to, body="hello"):
        return f"{to}: {body}"

    return mail


def test_the_second_call_gets_the_result_of_the_first(app, unique):
    first, second = unique.delay("ann"), unique.delay("ann")

    assert second.id == first.id
    assert len(app.sent(unique)) == 1
    app.run_until_idle()
    assert second.get() == "ann: hello"


def test_calls_are_the_same_however_their_arguments_are_written(app, unique):
    ids = {
        unique.delay("ann").id,
        unique.delay(to="ann").id,
        unique.delay("ann", "hello").id,
        unique.apply_async(("ann",), {"body": "hello"}).id,
        unique.s("ann").delay().id,
        unique.s().apply_async(("ann",)).id,
        unique.options(countdown=0).delay("ann").id,
        app.send_task("mail", ("ann",)).id,
    }

    assert len(ids) == 1
    assert unique.delay("bob").id not in ids


def test_it_may_be_sent_again_when_it_has_ended(app, unique):
    first = unique.delay("ann")
    app.run_until_idle()

    assert unique.delay("ann").id != first.id


def test_it_keeps_its_key_while_it_is_tried_again_and_gives_it_up_when_it_fails(app):
    @app.task(unique_for=3600, max_retries=1, autoretry_for=(OSError,), default_retry_delay=30)
    def job():
        raise OSError

    first = job.delay()
    app.run_until_idle()
    assert job.delay().id == first.id
    app.advance(31)

    assert job.delay().id != first.id


def test_until_start_the_next_one_may_be_sent_while_it_runs(app):
    sent = []

    @app.task(unique_for=60, unique_until="start")
    def job(n):
        if not sent:
            sent.append(job.delay(1).id)

    first = job.delay(1)
    app.run_until_idle()

    assert sent[0] != first.id
    assert app.AsyncResult(sent[0]).state == "SUCCESS"


def test_until_success_a_run_cannot_send_its_like(app):
    sent = []

    @app.task(unique_for=60)
    def job(n):
        sent.append(job.delay(n).id)

    first = job.delay(1)
    app.run_until_idle()

    assert sent == [first.id]


def test_the_key_is_free_after_its_time(app, unique):
    first = unique.apply_async(("ann",), countdown=100)

    app.advance(99)
    assert unique.delay("ann").id == first.id
    app.advance(62)
    later = unique.delay("ann")
    assert later.id != first.id


def test_raise_names_the_id_and_the_key(app):
    @app.task(name="job", unique_for=60, on_conflict="raise", unique_by=lambda n: n)
    def job(n): ...

    first = job.delay(7)
    with pytest.raises(TaskAlreadySent, match=f"job was not sent: {first.id} has its unique key 'job:7'") as caught:
        job.delay(7)

    assert (caught.value.id, caught.value.key, caught.value.task) == (first.id, "job:7", "job")
    assert len(app.sent(job)) == 1


def test_replace_takes_the_place_of_what_does_not_run_yet(app):
    @app.task(unique_for=60, on_conflict="replace")
    def job(n, note):
        return note

    @app.task(name="by_n", unique_for=60, on_conflict="replace", unique_by=lambda n, note: n)
    def by_n(n, note):
        return note

    first, second = by_n.delay(1, "old"), by_n.delay(1, "new")
    app.run_until_idle()

    assert first.state == "REVOKED"
    assert second.get() == "new"


def test_replace_leaves_what_runs_alone(app):
    sent = []

    @app.task(unique_for=60, on_conflict="replace")
    def job(n):
        sent.append(job.delay(n).id)
        return n

    first = job.delay(1)
    app.run_until_idle()

    assert sent == [first.id]
    assert first.get() == 1


def test_many_at_once_are_asked_for_together(app, unique):
    before = unique.delay("ann")

    results = app.send_many([unique.s("ann"), unique.s("bob"), unique.s("bob"), unique.s("cy")])

    assert results[0].id == before.id
    assert results[1].id == results[2].id
    assert len({result.id for result in results}) == 3
    app.run_until_idle()
    assert [result.get() for result in results][1:] == ["bob: hello", "bob: hello", "cy: hello"]


def test_of_many_at_once_none_is_sent_when_one_is_refused(app, unique):
    @app.task(unique_for=60, on_conflict="raise")
    def strict(n): ...

    strict.delay(1)
    with pytest.raises(TaskAlreadySent):
        app.send_many([unique.s("ann"), strict.s(2), strict.s(1)])
    with pytest.raises(TaskAlreadySent):
        app.send_many([strict.s(3), strict.s(3)])

    assert not app.sent(unique)
    strict.delay(2)
    strict.delay(3)


def test_of_many_at_once_the_last_replaces_the_others(app):
    @app.task(unique_for=60, on_conflict="replace", unique_by=lambda n, note: n)
    def job(n, note):
        return note

    results = app.send_many([job.s(1, "a"), job.s(1, "b"), job.s(1, "c")])
    app.run_until_idle()

    assert [result.get() for result in results] == ["c", "c", "c"]
    assert len(app.sent(job)) == 1


def test_on_a_loop_it_is_the_same(app, unique):
    @app.task(unique_for=60, on_conflict="raise")
    def strict(n): ...

    async def send():
        first = await unique.adelay("ann")
        second = await unique.aapply_async(("ann",))
        many = await app.asend_many([unique.s("ann"), unique.s("bob")])
        third = await unique.s("ann").adelay()
        await strict.adelay(1)
        with pytest.raises(TaskAlreadySent):
            await strict.adelay(1)
        return first.id, second.id, third.id, many[0].id, many[1].id

    first, second, third, fourth, other = asyncio.run(send())

    assert first == second == third == fourth != other


def test_a_publish_that_failed_gives_the_key_back(app, unique, monkeypatch):
    broker = app.client.parts.broker
    failing = [PublishFailed("full"), OSError("cut")]

    def publish(*_, **__):
        raise failing.pop(0)

    with monkeypatch.context() as patch:
        patch.setattr(type(broker), "publish", publish)
        for error in (PublishFailed, OSError):
            with pytest.raises(error):
                unique.delay("ann")

    assert unique.delay("ann")
    app.run_until_idle()
    assert len(app.sent(unique)) == 1


def test_after_a_publish_of_unknown_fate_the_key_is_free_when_no_message_came(app, unique, monkeypatch):
    broker = app.client.parts.broker

    def publish(*_, **__):
        raise PublishUnknown("cut")

    with monkeypatch.context() as patch:
        patch.setattr(type(broker), "publish", publish)
        with pytest.raises(PublishUnknown):
            unique.delay("ann")
    app.advance(30)

    assert unique.delay("ann")
    assert len(app.sent(unique)) == 1


def test_a_message_of_unknown_fate_that_is_there_confirms_its_key(app, unique, monkeypatch):
    broker = app.client.parts.broker
    right = type(broker).publish

    def publish(self, postings, **more):
        right(self, postings, **more)
        raise PublishUnknown("cut")

    with monkeypatch.context() as patch:
        patch.setattr(type(broker), "publish", publish)
        with pytest.raises(PublishUnknown):
            unique.delay("ann")
    app.run_until_idle()

    assert unique.delay("ann")


def test_whoever_finds_a_pending_key_waits_until_it_is_known():
    app = Leveret("x", broker="memory://pending", set_as_current=False)

    @app.task(name="job", unique_for=60, unique_by=lambda n: n)
    def job(n): ...

    keys = app.client.parts.keys
    assert keys is not None
    # Its sender is between asking and publishing.
    wish = Wish(key="job:2", id="other", seconds=60.0)
    assert keys.wish((wish,), 5.0)[0].won
    found = []
    thread = threading.Thread(target=lambda: found.append(job.delay(2).id))
    thread.start()
    thread.join(0.1)
    assert not found
    keys.sent((wish,))
    thread.join(5)

    assert found == ["other"]
    app.close()


def test_an_expired_or_revoked_message_gives_its_key_up(app, unique):
    first = unique.apply_async(("ann",), countdown=20, expires=10)
    app.advance(21)
    assert first.state == "REVOKED"
    second = unique.delay("ann")
    assert second.id != first.id
    second.revoke()
    app.run_until_idle()

    assert unique.delay("ann").id != second.id


def test_parts_of_compositions_are_sent_with_a_warning(app, unique):
    with pytest.warns(LeveretWarning, match="mail is unique"):
        result = group(unique.s("ann"), unique.s("ann")).apply_async()
    app.run_until_idle()

    assert result.get() == ["ann: hello", "ann: hello"]


def test_runs_of_a_schedule_have_the_key_of_their_task(app):
    @app.task(name="tidy", unique_for=600, unique_by=lambda n: n)
    def tidy(n): ...

    app.conf.beat_schedule = {"tidy": {"task": "tidy", "schedule": 60.0, "args": (7,)}}

    (entry,) = app.schedules.declared()

    # Nobody is asked before it is sent: it ends without a run where another has the key (worker/limiting).
    assert entry.postings[0].encoded.headers["leveret"]["settings"] == {"unique": "tidy:7"}


def test_without_a_store_for_it_a_unique_task_is_refused(app, unique):
    right = app.client.parts

    app.client.parts = replace(right, keys=None)

    with pytest.raises(ImproperlyConfigured, match="mail is unique .*needs a store that keeps limits"):
        unique.delay("ann")


def test_eager_calls_are_not_held_to_it(app, unique):
    app.conf.task_always_eager = True

    assert [unique.delay("ann").get(), unique.delay("ann").get()] == ["ann: hello", "ann: hello"]


def test_a_key_gets_the_arguments_it_names_however_a_call_gives_them(app):
    @app.task(name="letter", limits=Concurrency(5, key=lambda to, **_: to), unique_for=60, unique_by=lambda to: to)
    def letter(to, body="hello"):
        return f"{to}: {body}"

    first = letter.delay("ann", "good day")

    assert letter.delay(to="ann", body="good bye").id == first.id
    app.run_until_idle()
    assert first.get() == "ann: good day"
