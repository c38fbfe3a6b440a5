import re

import kombu
import pytest

from leveret.errors import ImproperlyConfigured, QueueNotFound
from leveret.logic.routing import Abilities, Route, Router, headers_match, queues_reached, topic_matches
from leveret.model.queue import Broadcast, Exchange, Queue, as_queue, binding

MEDIA = Exchange("media", "topic")
QUEUES = [
    Queue("video", MEDIA, "media.video.#"),
    Queue("all", MEDIA, "media.*.*"),
    Queue("plain"),
    Broadcast("news"),
    Queue("direct", Exchange("d"), "key"),
    Queue("two", [binding(MEDIA, "two.a"), binding(Exchange("d"), "two.b")]),
]


def straight(queue: str, **more: object) -> Route:
    return Route(queue=queue, queues=(queue,), **more)


@pytest.mark.parametrize(
    ("pattern", "key", "reached"),
    [
        ("a.b", "a.b", True),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("#", "", True),
        ("#", "a.b", True),
        ("*", "", False),
        ("#.c", "a.b.c", True),
        ("#.c", "c", True),
        ("a.#.c.#", "a.c", True),
        ("a.#.c.#", "a.b.d", False),
        ("#.#.#.x", "a.b", False),
        ("*.stock.#", "usd.stock.db", True),
        ("*.stock.#", "stock.nasdaq", False),
    ],
)
def test_topics_match_by_words(pattern: str, key: str, reached: bool) -> None:
    assert topic_matches(pattern, key) is reached


def test_a_hostile_pattern_takes_no_time() -> None:
    assert not topic_matches(".".join(["#"] * 500) + ".x", ".".join(["a"] * 500))


def test_headers_match_all_or_any() -> None:
    assert headers_match({"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3})
    assert not headers_match({"a": 1, "b": 2}, {"a": 1})
    assert headers_match({"x-match": "any", "a": 1, "b": 2}, {"b": 2})
    assert not headers_match({"x-match": "any", "a": 1}, {"a": 2})
    assert headers_match({"a": None}, {"a": 5}) and not headers_match({"a": None}, {})
    assert headers_match(None, {})


def test_an_exchange_reaches_every_queue_bound_to_it() -> None:
    assert queues_reached("media", QUEUES, "media.video.mp4") == ("video", "all")
    assert queues_reached("media", QUEUES, "two.a") == ("two",)
    assert queues_reached("d", QUEUES, "key") == ("direct",)
    assert queues_reached("news", QUEUES, "anything") == ("bcast.news",)
    assert queues_reached("", QUEUES, "plain") == ("plain",)
    bound = Queue("h", Exchange("hx", "headers"), binding_arguments={"kind": "x"})
    assert queues_reached("hx", [bound], "", {"kind": "x"}) == ("h",)


def test_a_call_without_wishes_goes_to_the_default_queue() -> None:
    assert Router().route("t") == straight("default")
    assert Router(default_queue="celery").route("t", (), {}, {"priority": 3}) == straight("celery", priority=3)


def test_the_calls_own_options_win_over_the_route() -> None:
    router = Router(routes={"t": {"queue": "routed", "priority": 5, "expires": 10}})

    assert router.route("t") == straight("routed", priority=5, options={"expires": 10})
    assert router.route("t", (), {}, {"queue": "mine", "priority": None}).queue == "mine"
    assert router.route("t", (), {}, {"priority": 1}).priority == 1
    to_exchange = Router(QUEUES, {"t": {"exchange": "media", "routing_key": "media.video.x"}})
    assert to_exchange.route("t", (), {}, {"queue": "plain"}) == straight("plain")


def test_routes_are_names_then_globs_and_regexes_in_their_order() -> None:
    router = Router(
        routes=[
            {
                "feed.*": "globbed",
                re.compile(r"(video|image)\..*"): {"queue": "media"},
                "feed.special": "exact",
            },
            ("late.*", "late"),
            [("nested.*", "nested"), ("other", {"queue": "other"})],
        ]
    )

    found = {
        name: router.route(name).queue
        for name in ("feed.special", "feed.x", "video.a", "late.x", "nested.y", "other", "none")
    }

    assert list(found.values()) == ["exact", "globbed", "media", "late", "nested", "other", "default"]
    assert router.static
    assert router.unmatched(["feed.x", "late.y", "other"]) == ("feed.special", r"(video|image)\..*", "nested.*")
    assert router.routed_queues() == ("globbed", "media", "exact", "late", "nested", "other")


def test_a_callable_sees_the_call_and_may_pass() -> None:
    def by_size(name, args, kwargs, options, task=None, **kw):
        return "large" if kwargs.get("size", 0) > 10 else None

    class Old:
        def route_for_task(self, task, args=None, kwargs=None):
            return {"queue": "old"} if task == "o" else None

    router = Router(routes=[by_size, Old(), {"t": "small"}])

    assert router.route("t", (), {"size": 11}).queue == "large"
    assert router.route("t", (), {"size": 1}).queue == "small"
    assert router.route("o").queue == "old"
    assert not router.static


def test_topic_routes_name_the_exchange_and_all_queues_reached() -> None:
    router = Router(QUEUES, {"t": {"exchange": "media", "routing_key": "media.video.mp4"}, "n": "news", "v": "video"})

    assert router.route("t") == Route(
        queue="video", exchange="media", routing_key="media.video.mp4", queues=("video", "all")
    )
    assert router.route("n") == Route(queue="bcast.news", exchange="news", queues=("bcast.news",))
    assert router.route("v", (), {}, {"routing_key": "media.video.x"}).queues == ("video", "all")
    assert router.route("x", (), {}, {"queue": "direct"}) == straight("direct")
    assert router.route("x", (), {}, {"exchange": "d", "routing_key": "two.b"}).queue == "two"


def test_what_would_reach_nobody_is_refused() -> None:
    with pytest.raises(QueueNotFound, match="reach nobody"):
        Router(QUEUES).route("t", (), {}, {"exchange": "unknown", "routing_key": "k"})
    closed = Router(["a"], create_missing=False)
    assert closed.route("t", (), {}, {"queue": "a"}).queue == "a"
    with pytest.raises(QueueNotFound, match="known: a"):
        closed.route("t", (), {}, {"queue": "b"})
    assert Router(["a"]).route("t", (), {}, {"queue": "b"}).queue == "b"


def test_queues_are_taken_as_settings_hold_them() -> None:
    theirs = kombu.Queue("k", kombu.Exchange("e", type="topic"), routing_key="r.#", max_priority=10)
    assert as_queue(theirs) == Queue("k", Exchange("e", "topic"), "r.#", max_priority=10)
    assert as_queue(kombu.Queue("k", [kombu.binding(kombu.Exchange("e"), "r")])).bound == (binding(Exchange("e"), "r"),)
    table = Router({"a": {"exchange": "x", "exchange_type": "topic", "binding_key": "k"}, "b": {}}).queues
    assert table["a"] == Queue("a", Exchange("x", "topic"), "k") and table["b"].name == "b"
    for wrong in (5, {"nme": "x"}):
        with pytest.raises(ImproperlyConfigured):
            as_queue(wrong)
    with pytest.raises(ImproperlyConfigured, match="fan"):
        Exchange("x", "fan")
    with pytest.raises(ImproperlyConfigured, match="task_routes"):
        Router(routes=[5])


def test_a_broadcast_has_a_queue_for_every_worker() -> None:
    news = Broadcast("news")

    assert isinstance(news, Queue) and news.alias == "news" and news.auto_delete
    assert news.for_worker("w1") == Queue("bcast.news.w1", Exchange("news", "fanout"), auto_delete=True, alias="news")
    assert Broadcast("news", queue="mine").for_worker("w1").name == "mine"
    assert hash(Queue("a", queue_arguments={"x-max-priority": 1}))


def test_a_queue_described_only_at_the_call_is_refused_where_a_broker_declares_it() -> None:
    described, plain = Queue("urgent", max_priority=9), Queue("urgent")

    with pytest.raises(ImproperlyConfigured, match=r"'urgent' .*max_priority.*task_queues"):
        Router(abilities=Abilities(exchanges=True)).route("t", options={"queue": described})
    listed = Router((described,), abilities=Abilities(exchanges=True))

    assert listed.route("t", options={"queue": described}).queue == "urgent"
    assert Router(abilities=Abilities(exchanges=True)).route("t", options={"queue": plain}).queue == "urgent"
    assert Router().route("t", options={"queue": described}).queue == "urgent"


def test_an_exchange_that_only_others_know_is_left_to_a_broker_that_keeps_bindings():
    route = Router(abilities=Abilities(bindings=True)).route("t", options={"exchange": "shop", "routing_key": "a.b"})

    assert (route.queue, route.exchange, route.routing_key, route.queues) == ("", "shop", "a.b", ())


def test_a_broker_that_spreads_needs_one_message_for_all_who_listen():
    queues = (Queue("a", Exchange("all", "fanout")), Queue("b", Exchange("all", "fanout")), Queue("c", MEDIA, "x"))

    assert Router(queues, abilities=Abilities(fanout=True)).spread_by_broker("all")
    assert not Router(queues, abilities=Abilities(fanout=True)).spread_by_broker("media")
    assert not Router(queues).spread_by_broker("all")
