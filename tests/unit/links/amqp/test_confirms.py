from typing import Any

import pytest

from leveret.errors import PublishFailed, PublishUnknown, QueueNotFound
from leveret.links.amqp.confirms import Batch, Confirms
from leveret.links.amqp.letters import Letter
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost
from leveret.links.amqp.protocol.events import Confirmed, Returned
from leveret.links.amqp.publisher import judge


class Bench:
    """A channel in confirm mode, and which batches are done, in order."""

    def __init__(self) -> None:
        self.confirms = Confirms()
        self.done: list[str] = []

    def add(self, name: str, *letters: Letter) -> Batch:
        batch = Batch(letters or (letter(name),), lambda: self.done.append(name))
        self.confirms.add(batch)
        return batch

    def hear(self, tag: int, *, multiple: bool = False, accepted: bool = True) -> None:
        self.confirms.confirmed(Confirmed(1, tag, multiple, accepted))


def letter(body: str, queue: str = "q", exchange: str = "") -> Letter:
    return Letter(exchange, queue, b"p", body.encode())


def returned(body: str, queue: str = "q", exchange: str = "", properties: bytes = b"p") -> Returned:
    return Returned(1, 312, "NO_ROUTE", exchange, queue, properties, body.encode())


def three(bench: Bench) -> list[Batch]:
    """Tags 1, 2-4, 5."""
    return [bench.add("a"), bench.add("b", *map(letter, "xyz")), bench.add("c")]


def test_each_batch_is_done_when_all_of_it_is_confirmed() -> None:
    bench = Bench()
    three(bench)

    heard = []
    for tag in (1, 2, 3, 4, 5):
        bench.hear(tag)
        heard.append(list(bench.done))

    assert heard == [["a"], ["a"], ["a"], ["a", "b"], ["a", "b", "c"]]
    assert bench.confirms.unanswered == 0


def test_confirms_may_come_in_any_order() -> None:
    bench = Bench()
    three(bench)

    for tag in (5, 4, 2, 1, 3):
        bench.hear(tag)

    assert bench.done == ["c", "a", "b"]


def test_multiple_confirms_everything_up_to_it_and_no_more() -> None:
    bench = Bench()
    three(bench)
    bench.hear(2)

    bench.hear(4, multiple=True)

    assert bench.done == ["a", "b"]
    assert bench.confirms.unanswered == 1


def test_a_nack_is_counted_and_the_rest_waited_for() -> None:
    bench = Bench()
    _, batch, _ = three(bench)

    bench.hear(3, accepted=False)
    bench.hear(4, accepted=True)
    assert (bench.done, batch.refused) == ([], 1)
    bench.hear(2, multiple=True)

    assert (bench.done, batch.refused, batch.open) == (["a", "b"], 1, 0)


def test_a_nack_of_many_refuses_them_all() -> None:
    bench = Bench()
    batches = three(bench)

    bench.hear(5, multiple=True, accepted=False)

    assert [batch.refused for batch in batches] == [1, 3, 1]


@pytest.mark.parametrize("tag", [0, 6, 1 << 63])
def test_a_confirm_for_nothing_is_nothing(tag: int) -> None:
    bench = Bench()
    three(bench)

    bench.hear(tag)
    bench.hear(1)
    bench.hear(1)

    assert bench.done == ["a"]


def test_a_break_ends_every_open_batch_once_and_nothing_comes_after() -> None:
    bench = Bench()
    batches = three(bench)
    bench.hear(1)
    error = ConnectionLost("gone")

    bench.confirms.sever(error)
    bench.hear(5, multiple=True)
    bench.confirms.sever(ConnectionLost("again"))

    assert bench.done == ["a", "b", "c"]
    assert [batch.severed for batch in batches] == [None, error, error]


# Returned


def test_a_returned_message_belongs_to_the_batch_that_holds_it() -> None:
    bench = Bench()
    first, second = bench.add("a"), bench.add("b")

    bench.confirms.returned(returned("b"))

    assert (first.returned, second.returned) == ([], [returned("b")])


def test_what_the_broker_wrote_anew_is_laid_to_every_batch_for_that_place() -> None:
    bench = Bench()
    batches = [bench.add("a"), bench.add("b", letter("b", queue="other")), bench.add("c")]

    bench.confirms.returned(returned("a", properties=b"other bytes"))

    assert [len(batch.returned) for batch in batches] == [1, 0, 1]


def test_a_returned_message_of_nobody_is_nobodys() -> None:
    bench = Bench()
    batch = bench.add("a")

    bench.confirms.returned(returned("a", queue="elsewhere"))
    bench.confirms.returned(returned("a", exchange="e"))

    assert batch.returned == []


# What became of it


def batch_of(*letters: Letter, **fields: Any) -> Batch:
    batch = Batch(letters or (letter("a"),), lambda: None)
    for name, value in fields.items():
        setattr(batch, name, value)
    return batch


def test_what_is_there_is_no_error() -> None:
    declared = {"q"}

    judge(batch_of(), declared)

    assert declared == {"q"}


def test_a_broken_connection_leaves_it_unknown() -> None:
    with pytest.raises(PublishUnknown, match="broke before the broker answered: gone"):
        judge(batch_of(severed=ConnectionLost("gone")), set())


def test_a_refusal_is_a_failure() -> None:
    with pytest.raises(PublishFailed, match="refused 2 of 3"):
        judge(batch_of(*map(letter, "abc"), refused=2), set())


def test_what_reached_no_queue_is_named_and_the_queue_declared_anew_next_time() -> None:
    declared = {"q", "other", "@q"}

    with pytest.raises(QueueNotFound, match=r"1 of 2 messages reached no queue \(312 NO_ROUTE.*'q'"):
        judge(batch_of(letter("a"), letter("b"), returned=[returned("a")]), declared)
    assert declared == set()


def test_a_missing_exchange_is_laid_to_who_named_it_and_to_nobody_else() -> None:
    closed = ChannelClosed(404, "NOT_FOUND - no exchange 'media' in vhost '/'")
    guilty = batch_of(letter("a"), letter("b", exchange="media"), severed=closed)
    innocent = batch_of(letter("a"), letter("b", exchange="medial"), severed=closed)

    with pytest.raises(QueueNotFound, match=r"no exchange 'media'.*of 2 messages others may be there"):
        judge(guilty, set())
    with pytest.raises(PublishUnknown, match="over another message"):
        judge(innocent, set())


def test_a_forbidden_default_exchange_is_laid_to_who_used_it() -> None:
    closed = ChannelClosed(403, "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused")

    with pytest.raises(QueueNotFound, match="ACCESS_REFUSED"):
        judge(batch_of(severed=closed), set())


def test_a_message_too_large_for_the_broker_is_a_failure_of_its_own_batch_only() -> None:
    closed = ChannelClosed(406, "PRECONDITION_FAILED - message size 3 is larger than configured max size 2")

    with pytest.raises(PublishFailed, match="message size 3"):
        judge(batch_of(letter("abc"), severed=closed), set())
    with pytest.raises(PublishUnknown):
        judge(batch_of(letter("a"), severed=closed), set())
