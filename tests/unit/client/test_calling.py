"""Options of a call, signatures, many calls at once."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leveret import Exchange, Leveret, Queue, Signature, chain, chord, group, maybe_signature, signature, testing
from leveret.client import current
from leveret.client.sending import BlockingInLoop
from leveret.errors import EncodeError, ImproperlyConfigured, MessageTooLarge
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers


@pytest.fixture
def add(app: testing.StagedLeveret) -> Any:
    @app.task(name="add")
    def add(x: int, y: int = 0) -> int:
        return x + y

    return add


def message(app: testing.StagedLeveret) -> Any:
    return app.sent()[-1].message


def messages(app: testing.StagedLeveret) -> list[Any]:
    return [call.message for call in app.sent()]


def test_durations_are_seconds_or_timedelta(app: testing.StagedLeveret, add: Any) -> None:
    add.apply_async((1,), countdown=10, expires=timedelta(minutes=1))

    now = app.clock.now()
    assert (message(app).not_before, message(app).expires) == (now + 10, now + 60)


def test_a_moment_needs_a_zone_unless_the_app_says_utc(app: testing.StagedLeveret, add: Any) -> None:
    naive = datetime(2030, 1, 1, 12)  # noqa: DTZ001
    add.apply_async((1,), eta=naive.replace(tzinfo=UTC))
    aware = message(app).not_before
    with pytest.raises(ImproperlyConfigured, match="no time zone"):
        add.apply_async((1,), eta=naive)

    app.conf.timezone = "UTC"
    add.apply_async((1,), eta=naive)

    assert message(app).not_before == aware


@pytest.mark.parametrize(
    ("settings", "hour"),
    [
        ({}, 12),
        ({"timezone": "UTC"}, 12),
        ({"timezone": "Asia/Tokyo"}, 3),
        ({"timezone": "Asia/Tokyo", "enable_utc": False}, 3),
        ({"enable_utc": False}, 17),
    ],
)
def test_beside_celery_a_moment_without_a_zone_is_celerys(
    app: testing.StagedLeveret, add: Any, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], hour: int
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    app.conf.update(profile="celery", **settings)

    add.apply_async((1,), eta=datetime(2030, 1, 1, 12))  # noqa: DTZ001

    monkeypatch.undo()
    time.tzset()
    assert message(app).not_before == datetime(2030, 1, 1, hour, tzinfo=UTC).timestamp()


def test_a_zone_nobody_knows_is_refused(app: testing.StagedLeveret, add: Any) -> None:
    app.conf.update(profile="celery", timezone="Mars/Olympus")

    with pytest.raises(ImproperlyConfigured, match="timezone is 'Mars/Olympus'"):
        add.delay(1)


def test_a_misspelt_option_is_refused_everywhere(app: testing.StagedLeveret, add: Any) -> None:
    for call in (
        lambda: add.apply_async((1,), countdwn=1),
        lambda: add.options(countdwn=1),
        lambda: app.send_task("add", (1,), countdwn=1),
        lambda: add.s(1).set(countdwn=1),
        lambda: add.s(1).apply_async(countdwn=1),
        lambda: add.signature((1,), countdwn=1),
    ):
        with pytest.raises(TypeError, match="'countdown'"):
            call()
    with pytest.raises(TypeError, match="headers="):
        add.apply_async((1,), x_my_own_header=1)
    assert app.sent() == []


def test_celerys_connection_options_are_taken_without_effect(app: testing.StagedLeveret, add: Any) -> None:
    add.apply_async((1,), producer=None, delivery_mode=2, retry=False)

    assert len(app.sent()) == 1


def test_options_bound_to_a_task_yield_to_those_of_the_call(app: testing.StagedLeveret, add: Any) -> None:
    slow = add.options(queue="slow", priority=3)
    slow.delay(1, 2)
    slow.apply_async((1,), priority=7)
    slow.options(headers={"who": "me"}).s(1).delay(5)

    sent = [call.message for call in app.sent()]
    assert [(m.queue, m.priority) for m in sent] == [("slow", 3), ("slow", 7), ("slow", 3)]
    assert sent[2].args == (5, 1) and sent[2].headers == {"who": "me"}


def test_the_queue_may_be_a_value(app: testing.StagedLeveret, add: Any) -> None:
    add.apply_async((1,), queue=Queue("parcels"))

    app.assert_sent(add, 1, queue="parcels")


def test_routes_decide_where_the_call_says_nothing(app: testing.StagedLeveret, add: Any) -> None:
    app.conf.accept_content = ["json", "msgpack"]
    app.conf.task_routes = {"add": {"queue": "sums", "priority": 4, "serializer": "msgpack"}}
    add.delay(1)
    add.apply_async((1,), queue="own", serializer="json")

    sent = [call.message for call in app.sent()]
    assert [(m.queue, m.priority, m.serializer) for m in sent] == [("sums", 4, "msgpack"), ("own", 4, "json")]


def test_an_id_chosen_by_the_caller_is_stopped_at_the_door(app: testing.StagedLeveret, add: Any) -> None:
    first = add.apply_async((1,), task_id="order-7")
    add.apply_async((1,), task_id="order-7")

    assert message(app).derived
    assert app.run_until_idle() == 1
    assert first.id == "order-7" and first.get() == 1


def test_what_cannot_be_sent_fails_at_the_call(app: testing.StagedLeveret, add: Any) -> None:
    with pytest.raises(EncodeError, match=r"args\[0\]"):
        add.delay(object())
    with pytest.raises(MessageTooLarge):
        app.conf.message_max_bytes = 2000
        add.delay("x" * 3000)


def test_a_serializer_that_workers_would_refuse_fails_at_the_call(app: testing.StagedLeveret, add: Any) -> None:
    with pytest.raises(EncodeError, match="accept_content"):
        add.apply_async((1,), serializer="pickle")

    app.conf.accept_content = ["json", "pickle"]
    assert add.apply_async((1,), serializer="pickle").get() == 1


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        ({"args": "ab"}, {}, r"args='ab' is no list of arguments"),
        ({"args": 5}, {}, r"write args=\(5,\)"),
        ({"args": (1,), "kwargs": ["y"]}, {}, "no dict of keyword arguments"),
        ({"args": (1,)}, {"countdown": "5"}, "'5' is no duration"),
        ({"args": (1,)}, {"priority": "high"}, "priority='high'"),
        ({"args": (1,)}, {"priority": 256}, "from 0 to 255"),
    ],
)
def test_what_is_no_argument_or_option_is_said_at_the_call(
    app: testing.StagedLeveret, add: Any, arguments: Any, options: Any, says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        add.apply_async(**arguments, **options)
    with pytest.raises(TypeError, match=says):
        app.send_task("add", **arguments, **options)
    assert app.sent() == []


def test_a_priority_beyond_nine_is_taken(app: testing.StagedLeveret, add: Any) -> None:
    assert add.apply_async((1,), priority=10).get() == 1


def test_many_calls_are_one_publish_in_order(app: testing.StagedLeveret, add: Any) -> None:
    results = app.send_many(add.s(n, y=1) for n in range(50))

    assert [result.get() for result in results] == list(range(1, 51))
    with pytest.raises(TypeError, match="add"):
        app.send_many([add.s(1), add.s()])
    assert len(app.sent()) == 50


def test_a_call_by_name_needs_no_task(app: testing.StagedLeveret) -> None:
    result = app.send_task("elsewhere.job", (1,), {"k": 2}, queue="far")

    app.assert_sent("elsewhere.job", 1, k=2, queue="far")
    assert result.task_name == "elsewhere.job"


def test_a_signature_is_celerys_dict(add: Any) -> None:
    made = add.s(1, y=2).set(queue="q")

    assert dict(made) == {
        "task": "add",
        "args": (1,),
        "kwargs": {"y": 2},
        "options": {"queue": "q"},
        "subtask_type": None,
        "immutable": False,
    }
    assert Signature.from_dict(dict(made)) == made
    assert maybe_signature(dict(made)).delay().task_name == "add"
    assert signature("add", args=(1, 2))() == 3


def test_partial_arguments_go_first_unless_immutable(app: testing.StagedLeveret, add: Any) -> None:
    add.s(1).delay(10)
    add.si(1).delay(10)

    assert [call.args for call in messages(app)] == [(10, 1), (1,)]


def test_links_follow_a_success_and_a_failure(app: testing.StagedLeveret, add: Any) -> None:
    failures: list[str] = []

    @app.task
    def fail() -> None:
        raise ValueError("no")

    @app.task
    def note(id: str) -> None:
        failures.append(id)

    add.apply_async((1, 2), link=add.s(10), link_error=note.s())
    failed = fail.s().on_error(note.s()).delay()
    app.run_until_idle()

    assert failures == [failed.id]


def test_what_is_linked_is_a_child_of_the_result(app: testing.StagedLeveret, add: Any) -> None:
    result = add.apply_async((1, 2), link=[add.s(10), add.s(20)])

    assert result.get() == 3
    assert [child.get() for child in result.children] == [13, 23]


def test_a_chain_of_single_tasks_is_one_message(app: testing.StagedLeveret, add: Any) -> None:
    result = (add.s(1, 1) | add.s(2) | chain(add.s(3), add.si(100))).apply_async()

    assert len(app.sent()) == 1
    assert result.get() == 100
    assert result.parent.get() == 7
    assert result.parent.parent.parent.get() == 2


def test_a_composition_that_is_called_is_sent_by_its_first_parts_app(app: testing.StagedLeveret, add: Any) -> None:
    current.set_default(None)

    assert chain(add.s(1, 1), add.s(2))().get() == 4
    assert group(add.s(1), add.s(2))(10).get() == [11, 12]


def test_whoever_waits_for_a_chain_is_rung_by_each_step(app: testing.StagedLeveret, add: Any) -> None:
    (add.s(1, 1) | add.s(2) | add.s(3)).apply_async()

    sent = message(app)
    assert sent.reply_to is not None
    assert [step.options["reply_to"] for step in sent.embed.chain] == [sent.reply_to] * 2


def test_a_chain_that_breaks_raises_at_its_end(app: testing.StagedLeveret, add: Any) -> None:
    @app.task
    def fail(x: int) -> None:
        raise ValueError("broken step")

    with pytest.raises(ValueError, match="broken step"):
        (add.s(1) | fail.s() | add.s(1)).delay().get()


def test_a_group_is_one_publish_and_one_result(app: testing.StagedLeveret, add: Any) -> None:
    result = group(add.s(n, n) for n in range(4)).apply_async()

    assert result.get() == [0, 2, 4, 6]
    assert [call.message.group_index for call in app.sent()] == [0, 1, 2, 3]
    assert {call.message.group for call in app.sent()} == {result.id}
    assert (result.ready(), result.successful(), result.completed_count(), len(result)) == (True, True, 4, 4)


def test_a_composition_is_celerys_dict_and_comes_back_from_it(app: testing.StagedLeveret, add: Any) -> None:
    for composition in (chord([add.s(1)], add.s()), chain(group(add.s(1)), add.s()), add.chunks([(1,)], 1)):
        assert Signature.from_dict(dict(composition)) == composition


def test_delay_in_a_loop_works_and_warns_once(app: testing.StagedLeveret, add: Any) -> None:
    async def main() -> None:
        with pytest.warns(BlockingInLoop, match="adelay"):
            add.delay(1)
        add.delay(2)

    asyncio.run(main())

    assert len(app.sent()) == 2


def test_the_async_twins_send_the_same(app: testing.StagedLeveret, add: Any) -> None:
    async def main() -> list[Any]:
        results = [
            await add.adelay(1),
            await add.aapply_async((2,), countdown=1),
            await app.asend_task("add", (3,)),
            *await app.asend_many([add.s(4), add.s(5)]),
            await add.s(6).adelay(),
            await add.options(queue="x").adelay(7),
        ]
        return [await result for result in results]

    assert asyncio.run(main()) == [1, 2, 3, 4, 5, 6, 7]
    assert asyncio.run(main()) == [1, 2, 3, 4, 5, 6, 7]


NEWS = Exchange("news", "topic")
NEWS_QUEUES = [Queue("all", NEWS, routing_key="#"), Queue("sport", NEWS, routing_key="sport.*")]


def test_an_exchange_that_reaches_several_queues_sends_a_copy_to_each(app: testing.StagedLeveret, add: Any) -> None:
    app.conf.task_queues = NEWS_QUEUES
    ran = []

    @app.task(bind=True)
    def note(self: Any) -> int:
        ran.append(self.request.id)
        return 1

    result = note.apply_async(exchange="news", routing_key="sport.tennis")

    assert app.run_until_idle() == 2
    assert len(set(ran)) == 2 and result.id in ran
    assert result.get() == 1


@pytest.mark.parametrize("broker", ["memory://copies", "sqlite:///{}/queue.db"])
def test_a_call_sent_twice_makes_no_more_copies(broker: str, tmp_path: Path) -> None:
    app = Leveret("copies", broker=broker.format(tmp_path), task_queues=NEWS_QUEUES, set_as_current=False)
    admin = open_drivers(app.conf.settings, SystemClock()).broker.admin()

    for _ in range(2):
        app.send_task("t", exchange="news", routing_key="sport.tennis", task_id="known")

    counts = asyncio.run(admin.counts(("all", "sport")))
    assert [count.ready for count in counts] == [1, 1]


def test_what_follows_a_task_goes_through_exchanges_too(app: testing.StagedLeveret, add: Any) -> None:
    app.conf.task_queues = [Queue("default"), *NEWS_QUEUES]
    seen = []

    @app.task(bind=True)
    def note(self: Any, value: int) -> None:
        seen.append((self.request.delivery_info["routing_key"], value))

    add.apply_async((1, 2), link=note.s().set(exchange="news", routing_key="sport.tennis"))

    assert app.run_until_idle() == 3
    assert len(seen) == 2


def test_a_routes_other_options_are_weaker_than_the_calls_and_the_tasks(app: testing.StagedLeveret, add: Any) -> None:
    @app.task(expires=30)
    def short() -> None: ...

    app.conf.accept_content = ["json", "msgpack"]
    app.conf.task_routes = {"*": {"queue": "q", "expires": 60, "serializer": "msgpack", "shadow": "routed"}}
    now = app.client.clock.now()

    add.delay(1)
    add.apply_async((1,), expires=10, shadow=None)
    short.delay()

    routed, own, tasks = messages(app)
    assert (routed.queue, routed.expires, routed.serializer, routed.shadow) == ("q", now + 60, "msgpack", "routed")
    assert (own.expires, own.serializer, own.shadow) == (now + 10, "msgpack", "routed")
    assert tasks.expires == now + 30


def test_a_misspelt_option_of_a_route_is_refused_at_the_call(app: testing.StagedLeveret, add: Any) -> None:
    app.conf.task_routes = {"*": {"queue": "q", "expiers": 60}}

    with pytest.raises(TypeError, match="did you mean 'expires'"):
        add.delay(1)


def test_a_route_of_a_follow_up_gives_it_its_options(app: testing.StagedLeveret, add: Any) -> None:
    seen = []

    @app.task(bind=True)
    def note(self: Any, value: int) -> None:
        request = self.request
        seen.append((request.delivery_info["routing_key"], request.priority, request.expires is not None))

    app.conf.task_routes = {note.name: {"queue": "q", "priority": 7, "expires": 60}}

    add.apply_async((1, 2), link=[note.s(), note.s().set(priority=2)])
    app.run_until_idle()

    assert seen == [("q", 7, True), ("q", 2, True)]


def test_a_callable_route_sees_the_calls_own_options(app: testing.StagedLeveret, add: Any) -> None:
    seen = []

    def router(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> Any:
        seen.append((name, args, dict(kwargs), options.get("countdown")))
        return {"queue": "slow"} if options.get("countdown") else None

    app.conf.task_routes = (router,)

    add.apply_async((1,), {"y": 2}, countdown=5)
    add.delay(1)

    assert [message.queue for message in messages(app)] == ["slow", "default"]
    assert seen[0] == (add.name, (1,), {"y": 2}, 5)


def test_queues_without_an_exchange_have_the_default_one(app: testing.StagedLeveret, add: Any) -> None:
    # Celery's documentation, "Changing the name of the default queue".
    app.conf.update(
        task_default_queue="default",
        task_default_exchange="tasks",
        task_default_exchange_type="topic",
        task_default_routing_key="task.default",
        task_queues=[Queue("default", routing_key="task.#"), Queue("feeds", routing_key="feed.#")],
        task_routes={"feed": {"queue": "feeds", "routing_key": "feed.import"}},
    )

    add.delay(1)
    app.send_task("feed")
    app.send_task("other", exchange="tasks", routing_key="feed.x")

    assert [message.queue for message in messages(app)] == ["default", "feeds", "feeds"]
    assert {message.exchange for message in messages(app)} == {"tasks"}


def test_a_signature_is_an_argument_like_any_other(app: testing.StagedLeveret) -> None:
    @app.task
    def run(inner: Any) -> Any:
        return maybe_signature(inner, app)()

    @app.task
    def double(x: int) -> int:
        return 2 * x

    assert run.delay(double.s(4)).get() == 8
