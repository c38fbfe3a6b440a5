"""`queue_order_strategy`, in kombu's words: which queue a claim looks into first."""

import pytest

from leveret.errors import ImproperlyConfigured
from leveret.links.redis.names import Names

QUEUES = ("b", "c", "a")


def looked_into(strategy, number):
    """As `claim.lua` goes through what it is told."""
    names = Names("", high_first=True, transport={"queue_order_strategy": strategy} if strategy else {})
    told = names.turned(QUEUES, number)
    return [told[(number + turn) % len(told)] for turn in range(len(told))]


@pytest.mark.parametrize("strategy", [None, "round_robin"])
def test_queues_take_turns(strategy):
    assert [looked_into(strategy, number)[0] for number in range(4)] == ["b", "c", "a", "b"]


@pytest.mark.parametrize("number", range(5))
def test_the_first_is_always_first_or_the_first_by_name(number):
    assert looked_into("priority", number) == ["b", "c", "a"]
    assert looked_into("sorted", number) == ["a", "b", "c"]


def test_an_unknown_word_is_refused():
    with pytest.raises(ImproperlyConfigured, match="must be one of round_robin, priority, sorted, not 'random'"):
        looked_into("random", 0)
