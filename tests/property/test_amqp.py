"""The RabbitMQ connection's law: any bytes, in any pieces, end in events or in one `ProtocolError`."""

import math
import time
import tracemalloc
from datetime import UTC
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pamqp import commands
from tests.property.wire_values import clean_text, plain_values, text
from tests.unit.links.amqp.peer import beat, comparable, content, deliver, method, open_ok, opened, sent, start, tune

from leveret.brokers.amqp.unsettled import Unsettled
from leveret.errors import EncodeError
from leveret.links.amqp import letters
from leveret.links.amqp.letters import Facts
from leveret.links.amqp.protocol.connection import Connection
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.events import Delivered, Event
from leveret.links.amqp.protocol.handshake import Credentials
from leveret.links.amqp.protocol.properties import Properties, read_properties, write_properties
from leveret.links.amqp.protocol.tables import read_table, write_table
from leveret.model.delivery import Charge

# What a broker says. A pool, not strategies for each field: hypothesis cuts, joins and damages, which is cheap.

Basic, Channel, Conn, Queue = commands.Basic, commands.Channel, commands.Connection, commands.Queue
HEADERS = {"task": "a.b", "id": "1", "retries": 3, "ü": [1, None, {"x": 1.5}]}
POOL = [
    beat(),
    deliver(1, b"one"),
    deliver(2**63 - 1, b"", redelivered=True),
    deliver(3, b"x" * 300, channel=2, content_type="application/json", headers=HEADERS, priority=3),
    deliver(4, bytes(5000), channel=3, correlation_id="1", expiration="60000"),
    method(Basic.Deliver("", 5, False, "", "q" * 255), 1) + content(1, bytes(9000), {}, 4088),
    method(Basic.Deliver("größe", 6, True, "ex", ""), 4) + content(4, b"a" * 20, {"reply_to": "r"}, 7),
    method(Basic.GetOk(7, True, "", "q", 99), 2) + content(2, b"got", {"headers": HEADERS}),
    method(Basic.Return(312, "NO_ROUTE", "e", "k"), 1) + content(1, b"back"),
    method(Basic.GetEmpty(), 3),
    method(Basic.Ack(9, True), 1),
    method(Basic.Ack(10, False), 2),
    method(Basic.Nack(11, True), 1),
    method(Basic.Cancel("consumer", True), 2),
    method(Basic.ConsumeOk("consumer"), 2),
    method(Queue.DeclareOk("queue", 5, 6), 3),
    method(Channel.OpenOk(), 4),
    method(Channel.Close(404, "NOT_FOUND - no queue", 50, 10), 3),
    method(Channel.CloseOk(), 3),
    method(Conn.Blocked("low on memory"), 0),
    method(Conn.Unblocked(), 0),
]
HANDSHAKE = start(properties={"capabilities": {"a": True, "b": [1, "x", None]}, "v": "3.13"}) + tune() + open_ok()
streams = st.lists(st.sampled_from(POOL), max_size=6).map(b"".join)
cuts = st.lists(st.integers(0, 20_000), max_size=6)


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


def feed(connection: Connection, parts: list[bytes]) -> tuple[list[Event], ProtocolError | None]:
    """Events and the error that ended them; after it nothing may be believed."""
    events: list[Event] = []
    for part in parts:
        try:
            events += connection.receive(part)
        except ProtocolError as error:
            with pytest.raises(ProtocolError, match="failed before"):
                connection.receive(beat())
            return events, error
    return events, None


def fits(value: Any) -> bool:
    try:
        write_table({"k": value})
    except EncodeError:
        return False
    return True


def consistent(connection: Connection, parts: list[bytes], twin: Connection) -> None:
    """The same in pieces and in one: the same events, or an error in both."""
    events, error = feed(connection, parts)
    in_one, same = feed(twin, [b"".join(parts)])

    assert (error is None) == (same is None)
    if error is None:
        assert comparable(events) == comparable(in_one)
        assert connection.data_to_send() == twin.data_to_send()


@given(streams, cuts)
def test_what_a_broker_says_is_understood_in_any_pieces(stream: bytes, places: list[int]) -> None:
    connection, twin = opened(), opened()

    events, error = feed(connection, pieces(stream, places))
    expected, none = feed(twin, [stream])

    assert error is None and none is None
    assert comparable(events) == comparable(expected)
    assert connection.data_to_send() == twin.data_to_send()


@given(st.lists(st.sampled_from(POOL), min_size=1, max_size=2).map(b"".join))
@settings(max_examples=20)
def test_byte_by_byte_is_no_other_than_at_once(stream: bytes) -> None:
    expected, _ = feed(opened(), [stream])

    events, error = feed(opened(), [bytes([byte]) for byte in stream])

    assert error is None
    assert comparable(events) == comparable(expected)


shards = st.sampled_from(
    [b"\x01\0\x01", b"\0\0\0\x0c", b"\0\x3c\0\x3c", b"\0\x3c\0\x50", b"\xce", b"\x02", b"\x03\0\x01", b"\x08", b"\0" * 8]
    + [b"\xff" * 4, b"AMQP\0\0\x09\x01", b"\0\x0a\0\x0a", b"\0\x14\0\x28"]
)  # fmt: skip
rubbish = st.one_of(st.binary(max_size=300), st.lists(shards, max_size=12).map(b"".join))


@given(rubbish, cuts)
@settings(max_examples=200)
def test_any_bytes_end_in_events_or_one_error(stream: bytes, places: list[int]) -> None:
    parts = pieces(stream, places)

    consistent(opened(), parts, opened())
    consistent(Connection(Credentials()), parts, Connection(Credentials()))


damages = st.lists(
    st.tuples(
        st.integers(0, 20_000),
        st.sampled_from(["change", "insert", "remove", "double", "number"]),
        st.one_of(st.binary(min_size=1, max_size=6), shards),
    ),
    min_size=1,
    max_size=4,
)


def damaged(valid: bytes, changes: list[tuple[int, str, bytes]]) -> bytes:
    data = bytearray(valid)
    for place, kind, new in changes:
        at = place % (len(data) + 1)
        if kind == "change":
            data[at : at + len(new)] = new
        elif kind == "insert":
            data[at:at] = new
        elif kind == "remove":
            del data[at : at + len(new)]
        elif kind == "double":
            data[at:at] = data[at : at + 4 * len(new)]
        else:
            data[at : at + 4] = (new[0] ** len(new) % 2**32).to_bytes(4)
    return bytes(data)


@given(streams, damages, cuts)
@settings(max_examples=300)
def test_damaged_streams_end_in_events_or_one_error(
    stream: bytes, changes: list[tuple[int, str, bytes]], places: list[int]
) -> None:
    consistent(opened(), pieces(damaged(stream, changes), places), opened())


@given(damages, cuts)
@settings(max_examples=150)
def test_damaged_handshakes_end_in_events_or_one_error(
    changes: list[tuple[int, str, bytes]], places: list[int]
) -> None:
    parts = pieces(damaged(HANDSHAKE, changes), places)

    consistent(Connection(Credentials()), parts, Connection(Credentials()))


def test_hostile_repetition_takes_neither_time_nor_memory() -> None:
    half = deliver(1, bytes(100))
    floods = [
        half[: half.index(b"\xce") + 1] + content(1, bytes(10))[:-20],
        beat() * 1000,
        b"\x03\0\x01\0\0\0\0\xce" * 1000,
        method(Channel.Close(404, "gone", 0, 0), 3) * 100,
    ]

    began = time.perf_counter()
    tracemalloc.start()
    for flood in floods:
        connection = opened()
        for _ in range(20):
            try:
                connection.receive(flood)
                connection.data_to_send()
            except ProtocolError:
                break
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 1_000_000
    assert time.perf_counter() - began < 5


# Headers

header_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        text,
        st.binary(max_size=20),
        st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0)),
        st.decimals(-(2**31), 2**31 - 1, places=0),
        st.decimals(-20_000_000, 20_000_000, places=2),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=12,
)
tables = st.dictionaries(text, header_values, max_size=4)


@given(tables)
@settings(max_examples=50)
def test_headers_come_back_as_they_were(table: dict[str, Any]) -> None:
    data = write_table(table)

    found, end = read_table(data, 0)

    assert (found, end) == (table, len(data))
    assert _kinds(found) == _kinds(table)


@given(st.dictionaries(clean_text, plain_values, max_size=4))
@settings(max_examples=50)
def test_every_header_the_codec_allows_travels_or_is_named(table: dict[str, Any]) -> None:
    try:
        data = write_table(table)
    except EncodeError as error:
        assert "64 bits" in str(error) and error.path.startswith("headers.")
        return

    assert read_table(data, 0)[0] == table


@given(st.binary(max_size=200), st.integers(0, 3))
def test_any_bytes_are_a_table_or_a_protocol_error(data: bytes, at: int) -> None:
    for stream in (data, len(data).to_bytes(4) + data):
        try:
            table, end = read_table(stream, at if stream is data else 0)
        except ProtocolError:
            continue
        assert end <= len(stream)
        # And what could be read can be written: a message may have to be sent again.
        assert _same(read_table(write_table(table), 0)[0], table)


@given(st.binary(max_size=120))
def test_any_bytes_are_properties_or_a_protocol_error(data: bytes) -> None:
    try:
        found = read_properties(data)
    except ProtocolError:
        return
    again = read_properties(write_properties(found))
    assert _same(again.headers, found.headers)
    assert again.content_type == found.content_type and again.correlation_id == found.correlation_id


def _kinds(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _kinds(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_kinds(part) for part in value]
    return type(value)


def _same(left: Any, right: Any) -> bool:
    """Equality that finds NaN equal to itself."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right) or isinstance(left, Decimal)


# Facts

charges = st.builds(Charge, reason=clean_text, at=st.floats(0, 4e9), session=clean_text)
facts = st.builds(
    Facts,
    count=st.integers(1, 100),
    charges=st.lists(charges, max_size=3).map(tuple),
    suspect=st.booleans(),
    queue=clean_text,
    reason=clean_text,
    at=st.floats(0, 4e9),
)
own_headers = st.dictionaries(
    st.one_of(
        clean_text, st.sampled_from(["task", "id", "x-deathly", "x-mine", "leveret", "x-delivery-counter"])
    ).filter(
        lambda name: not name.startswith("leveret.")
        and name not in ("x-death", "x-delivery-count", "x-acquired-count")
        and not name.startswith(("x-first-death-", "x-last-death-"))
    ),
    plain_values.filter(fits),
    max_size=4,
)


@given(own_headers, facts, facts)
@settings(max_examples=50)
def test_facts_come_back_and_the_senders_headers_stay_as_they_were(
    headers: dict[str, Any], first: Facts, second: Facts
) -> None:
    sender = Properties(content_type="application/json", headers=headers, reply_to="r", correlation_id="c", priority=3)
    encoded, none, read = letters.read(write_properties(sender), b"body")
    assert (dict(encoded.headers), none) == (headers, Facts())

    for told in (first, second, Facts()):
        encoded, found, read = letters.read(letters.rewritten(read, encoded, told), b"body")

        assert found == told
        assert dict(encoded.headers) == headers
        assert (encoded.reply_to, read.correlation_id, read.priority) == ("r", "c", 3)


# Settling

steps = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.sampled_from(["1.a", "1.b", "2.a", "get.a"])),
        st.tuples(st.just("late"), st.sampled_from(["1.a", "2.a"])),
        st.tuples(st.sampled_from(["ack", "nack"]), st.lists(st.integers(0, 30), max_size=8)),
        st.tuples(st.just("consumers"), st.sampled_from([("1.a", "1.b"), ("2.a",), ()])),
    ),
    max_size=40,
)


def delivery(tag: int, consumer: str) -> Delivered:
    return Delivered(7, consumer, tag, False, "", "q", b"\0\0", b"")


@given(steps)
@settings(max_examples=100)
def test_what_is_settled_here_is_what_a_broker_thinks_is_settled(history: list[tuple[str, Any]]) -> None:
    unsettled, broker, done = Unsettled(), Broker(), set[int]()
    unsettled.channel = 7

    for step, value in history:
        if step == "deliver":
            assert unsettled.add(delivery(broker.deliver(), value)) == (value in unsettled.consumers)
        elif step == "late":
            # The answer to a basic.get is taken in behind what was pushed after it.
            got, pushed = broker.deliver(), broker.deliver()
            unsettled.add(delivery(pushed, value))
            unsettled.add(delivery(got, "get.a"))
        elif step == "consumers":
            unsettled.consumers = dict.fromkeys(value, 0)
        else:
            written = unsettled.acknowledge(value) if step == "ack" else unsettled.refuse(value)
            expected = {tag for tag in value if tag in broker.unacked}
            acked, nacked = broker.hear(written)
            assert (acked, nacked) == ((expected, set()) if step == "ack" else (set(), expected))
            done |= expected
        assert len(unsettled) == len(broker.unacked)
        assert all((unsettled.get(tag) is not None) == (tag in broker.unacked) for tag in range(1, broker.last + 2))

    assert not done & broker.unacked


class Broker:
    """What RabbitMQ does with acknowledgements on one channel."""

    def __init__(self) -> None:
        self.last = 0
        self.unacked: set[int] = set()

    def deliver(self) -> int:
        self.last += 1
        self.unacked.add(self.last)
        return self.last

    def hear(self, data: bytes) -> tuple[set[int], set[int]]:
        acked: set[int] = set()
        nacked: set[int] = set()
        for channel, one in sent(data):
            assert channel == 7
            meant = {tag for tag in self.unacked if tag <= one.delivery_tag} if one.multiple else {one.delivery_tag}
            assert one.delivery_tag in self.unacked, "406: unknown delivery tag"
            self.unacked -= meant
            if isinstance(one, Basic.Nack):
                assert one.requeue
                nacked |= meant
            else:
                acked |= meant
        return acked, nacked
