"""Slots and redirections of a Redis Cluster, without one."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leveret.errors import ImproperlyConfigured, OperationalError
from leveret.links.redis.cluster.journey import ATTEMPTS, PAUSES, travel
from leveret.links.redis.cluster.keys import ClusterKeys
from leveret.links.redis.cluster.slots import Atlas, redirected, slot_of
from leveret.links.redis.conversation import Command
from leveret.links.redis.location import Tcp
from leveret.links.redis.refusals import Lost, Refusal
from leveret.links.redis.results.records import Keys

A, B, C = Tcp("a", 1), Tcp("b", 2), Tcp("c", 3)
HALVES = [[0, 8191, [b"a", 1, b"id"]], [8192, 16383, [b"b", 2, b"id"], [b"r", 9, b"id"]]]
LOW, HIGH = "bar", "foo"  # slots 5061 and 12182


@given(st.one_of(st.text(), st.from_regex(r"[a-z{}]*")))
def test_slots_are_those_of_redis_py(key: str):
    crc = pytest.importorskip("redis.crc")
    raw = key.encode(errors="replace")

    assert slot_of(raw) == crc.key_slot(raw)


@given(
    st.one_of(st.text(min_size=1, max_size=40), st.from_regex(r"[ab{}]{1,9}")), st.sampled_from(("", "shop_", "{a}"))
)
def test_document_and_facts_of_a_task_are_in_one_slot(name: str, prefix: str):
    name = name.encode(errors="replace").decode()
    keys = ClusterKeys(prefix)
    document, facts = keys.pairs([name])

    assert slot_of(document) == slot_of(facts)
    assert (document, facts) == (keys.document(name), keys.facts(name))
    assert document == Keys(prefix).document(name)
    assert "}" in name or facts == Keys(prefix).facts(name)


def test_a_brace_in_the_prefix_must_be_closed():
    with pytest.raises(ImproperlyConfigured, match="must be closed"):
        ClusterKeys("{shop")


def journey(commands: list[Command], respond: Callable[[Any, Command], Any], atlas: Atlas | None = None) -> Any:
    """Play a journey against `respond(node, command)`; answers its answers and every (node, command) of it."""
    said = []
    route = travel(atlas or Atlas([A]), commands)
    try:
        legs = next(route)
        while True:
            if isinstance(legs, float):
                legs = next(route)
                continue
            told: list[Any] = []
            for node, words in legs:
                said += [(node, word) for word in words]
                answers = [respond(node, word) for word in words]
                told.append(next((answer for answer in answers if isinstance(answer, Lost)), answers))
            legs = route.send(told)
    except StopIteration as stop:
        return stop.value, said


def slots_or(otherwise: Callable[[Any, Command], Any]) -> Callable[[Any, Command], Any]:
    return lambda node, word: HALVES if word == ("CLUSTER", "SLOTS") else otherwise(node, word)


def test_each_command_goes_to_the_master_of_its_slot_and_answers_keep_their_order():
    commands: list[Command] = [("MGET", HIGH), ("EVALSHA", "sha", 1, LOW), ("DEL", HIGH)]

    answers, said = journey(commands, slots_or(lambda node, word: (node, word)))

    assert answers == [(B, commands[0]), (A, commands[1]), (B, commands[2])]
    assert said[0] == (A, ("CLUSTER", "SLOTS"))
    assert len(said) == 4


def test_a_moved_slot_is_asked_for_at_its_new_owner_from_then_on():
    def respond(node, word):
        return Refusal("MOVED 5061 c:3") if node == A else "there"

    atlas = Atlas([A])
    first, _ = journey([("GET", LOW)], slots_or(respond), atlas)
    _, said = journey([("GET", LOW)], slots_or(respond), atlas)

    assert first == ["there"]
    assert said == [(C, ("GET", LOW))]


def test_the_word_of_a_redirection_counts_more_than_a_survey_that_is_older():
    answers, said = journey(
        [("GET", LOW)], slots_or(lambda node, word: Refusal("MOVED 5061 c:3") if node != C else "there")
    )

    assert answers == ["there"]
    assert [node for node, word in said if word == ("GET", LOW)] == [A, C]


def test_a_slot_on_its_way_is_asked_for_with_asking_and_only_this_time():
    def respond(node, word):
        if word == ("ASKING",):
            return "OK"
        return Refusal("ASK 5061 b:2") if node == A else "there"

    atlas = Atlas([A])
    answers, said = journey([("GET", LOW), ("GET", HIGH)], slots_or(respond), atlas)

    assert answers == ["there", "there"]
    assert said[-2:] == [(B, ("ASKING",)), (B, ("GET", LOW))]
    assert atlas.owner(5061) == A


def test_half_a_slot_is_waited_for():
    tries = iter([Refusal("TRYAGAIN"), Refusal("TRYAGAIN"), "there"])

    answers, said = journey([("MGET", LOW)], slots_or(lambda node, word: next(tries)))

    assert answers == ["there"]
    assert len(said) == 4


def test_nobody_is_sent_around_for_ever():
    answers, said = journey([("GET", LOW)], slots_or(lambda node, word: Refusal(f"MOVED 5061 {'bc'[node == B]}:2")))

    assert answers[0].code == "MOVED"
    assert len([word for _, word in said if word[0] == "GET"]) == ATTEMPTS + PAUSES


def test_a_node_that_is_gone_ends_the_journey_and_the_next_one_asks_anew():
    atlas = Atlas([A, B])
    gone = Lost("gone")

    with pytest.raises(Lost, match="gone"):
        journey([("GET", LOW)], slots_or(lambda node, word: gone), atlas)
    answers, said = journey([("GET", HIGH)], slots_or(lambda node, word: "there"), atlas)

    assert answers == ["there"]
    assert said[0][1] == ("CLUSTER", "SLOTS")


def test_the_slots_are_asked_of_whoever_answers():
    def respond(node, word):
        return Lost("gone") if node == A and word[0] == "CLUSTER" else HALVES if word[0] == "CLUSTER" else "there"

    answers, said = journey([("GET", HIGH)], respond, Atlas([A, B]))

    assert answers == ["there"]
    assert [node for node, _ in said] == [A, B, B]


def test_nobody_answers():
    with pytest.raises(Lost, match="gone; gone"):
        journey([("GET", HIGH)], lambda node, word: Lost("gone"), Atlas([A, B]))


def test_a_lone_server_is_no_cluster():
    with pytest.raises(Refusal, match="cluster support disabled"):
        journey([("GET", HIGH)], lambda node, word: Refusal("ERR This instance has cluster support disabled"))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("MOVED 3999 10.0.0.1:6381", Tcp("10.0.0.1", 6381)),
        ("ASK 3999 [::1]:6381", Tcp("::1", 6381)),
        ("MOVED 3999 :6381", Tcp("a", 6381)),
    ],
)
def test_redirections_are_read(said, found):
    assert redirected(said, A) == (3999, found)


def test_a_slot_without_a_master_is_an_error_that_may_pass():
    with pytest.raises(OperationalError, match="serves slot 5061"):
        journey([("GET", LOW)], lambda node, word: [[6000, 16383, [b"b", 2]]])
