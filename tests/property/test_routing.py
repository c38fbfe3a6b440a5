"""Routing against two oracles: Celery's own router, and a plain search for topics."""

import celery
from celery.app import routes as celery_routes
from hypothesis import given
from hypothesis import strategies as st

from leveret.logic.routing import Router, queues_reached, topic_matches
from leveret.model.queue import Exchange, Queue

words = st.sampled_from(["a", "b", "*", "#"])
patterns = st.lists(words, min_size=1, max_size=6).map(".".join)
keys = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6).map(".".join)


def searched(pattern: list[str], key: list[str]) -> bool:
    if not pattern:
        return not key
    if pattern[0] == "#":
        return searched(pattern[1:], key) or (bool(key) and searched(pattern, key[1:]))
    return bool(key) and pattern[0] in ("*", key[0]) and searched(pattern[1:], key[1:])


@given(patterns, keys)
def test_topics_match_as_the_definition_says(pattern: str, key: str) -> None:
    assert topic_matches(pattern, key) == searched(pattern.split("."), key.split(".") if key else [])


@given(st.lists(st.tuples(st.sampled_from(["direct", "topic", "fanout"]), patterns), max_size=5), keys)
def test_an_exchange_reaches_exactly_the_queues_whose_binding_matches(bound: list[tuple[str, str]], key: str) -> None:
    queues = [Queue(f"q{index}", Exchange(kind, kind), pattern) for index, (kind, pattern) in enumerate(bound)]

    for kind in ("direct", "topic", "fanout"):
        reached = queues_reached(kind, queues, key)
        expected = [
            queue.name
            for queue, (its_kind, pattern) in zip(queues, bound, strict=True)
            if its_kind == kind
            and (kind == "fanout" or pattern == key or (kind == "topic" and topic_matches(pattern, key)))
        ]
        assert list(reached) == expected


APP = celery.Celery("oracle", set_as_current=False)
task_names = st.lists(st.sampled_from(["a", "b", "tasks"]), min_size=1, max_size=3).map(".".join)
globs = st.one_of(task_names, task_names.map(lambda name: name + ".*"), st.just("*"), st.just("*.b"))
targets = st.one_of(
    st.sampled_from(["q1", "q2"]),
    st.fixed_dictionaries(
        {"queue": st.sampled_from(["q1", "q2"])}, optional={"priority": st.integers(0, 9), "routing_key": st.just("k")}
    ),
)
tables = st.dictionaries(globs, targets, max_size=4)
wishes = st.fixed_dictionaries(
    {}, optional={"queue": st.sampled_from(["q1", "q3"]), "priority": st.one_of(st.none(), st.integers(0, 9))}
)


@given(st.lists(tables, max_size=2), task_names, wishes)
def test_task_routes_answer_as_celerys_router(routes: list[dict], name: str, options: dict) -> None:
    copies = [
        {key: dict(target) if isinstance(target, dict) else target for key, target in table.items()} for table in routes
    ]
    theirs = celery_routes.Router(celery_routes.prepare(copies), APP.amqp.Queues([]), app=APP).route(
        dict(options), name
    )

    ours = Router(routes=routes, default_queue="celery").route(name, (), {}, options)

    assert ours.queue == theirs["queue"].name
    assert ours.priority == theirs.get("priority")
