"""The command of a lone send is the one that the long way makes, and it is made only where that asks for nothing more."""

import pytest

from leveret.brokers.redis.kombu.exchanges import Exchanges
from leveret.brokers.redis.publishing import Desk
from leveret.links.redis.names import Names
from leveret.links.redis.results.records import Keys
from leveret.model.message import Header
from leveret.model.topology import Topology
from leveret.testing.conformance.values import posting

NOW = 1_700_000_000.1234


def desk(replicas: int = 0, known: bool = True) -> Desk:
    names = Names("shop:", high_first=True, transport={})
    made = Desk(names, Keys(""), Exchanges(names, Topology(), database=0, transport={}), replicas)
    if known:
        introduction = made.introduce([posting("a").queue])
        answers = [1] * len(list(next(introduction)))
        with pytest.raises(StopIteration):
            introduction.send(answers)
    return made


@pytest.mark.parametrize("options", [{}, {"priority": 7}, {"attempt": 2}, {"priority": -3}])
def test_a_lone_send_is_the_command_of_the_long_way(options):
    one = posting("a", **options)

    alone = desk().alone((one,), NOW)

    assert [alone] == list(next(desk().publish((one,), NOW)))


@pytest.mark.parametrize(
    "postings",
    [
        (posting("a"), posting("b")),
        (posting("a", queue="another"),),
        (posting("a", queue=""),),
        (posting("a", once=True),),
        (posting("a", not_before=NOW + 10),),
        (posting("a", begins=(Header("j", 1),)),),
    ],
    ids=["two", "a new queue", "no queue", "once", "later", "a chord of one"],
)
def test_more_than_a_plain_call_goes_the_long_way(postings):
    assert desk().alone(postings, NOW) is None


def test_whoever_waits_for_replicas_goes_the_long_way():
    assert desk(replicas=1).alone((posting("a"),), NOW) is None


def test_celerys_workers_hear_of_a_join_before_they_get_its_members():
    verb = desk().publish((posting("a", begins=(Header("j", 2),)), posting("b")), NOW)

    (first,) = next(verb)

    assert first[0] == "EVALSHA"
    assert [str(value) for value in first[-2:]] == ["86400000", "2"]
