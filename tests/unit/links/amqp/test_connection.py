import struct
import time
import tracemalloc
from typing import Any

import pytest
from pamqp import body, commands, header
from tests.unit.links.amqp.peer import (
    beat,
    comparable,
    content,
    deliver,
    method,
    open_ok,
    opened,
    plain,
    sent,
    start,
    tune,
)

from leveret.links.amqp.protocol.connection import Connection
from leveret.links.amqp.protocol.contents import LARGEST_BODY
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.events import (
    Answered,
    Blocked,
    ChannelLost,
    Closed,
    Confirmed,
    Delivered,
    Got,
    Opened,
    Returned,
    Unblocked,
)
from leveret.links.amqp.protocol.handshake import Credentials

Basic, Channel, Conn, Queue = commands.Basic, commands.Channel, commands.Connection, commands.Queue
PROPERTIES: dict[str, Any] = {"content_type": "application/json", "headers": {"task": "t", "id": "1"}}


def properties(**fields: Any) -> bytes:
    return Basic.Properties(**fields).marshal()


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def content_header(channel: int, size: int, of_class: int = 60, flags: bytes = b"\0\0") -> bytes:
    return frame(2, channel, struct.pack(">HHQ", of_class, 0, size) + flags)


# The handshake


def test_the_handshake_is_three_steps_each_way() -> None:
    connection = Connection(Credentials(user="me", password="pw", virtual_host="v", heartbeat=20, name="w1"))

    connection.begin()
    greeting = connection.data_to_send()
    nothing = connection.receive(start())
    first = sent(connection.data_to_send())
    connection.receive(tune(frame_max=65_536, heartbeat=60))
    then = sent(connection.data_to_send())
    events = connection.receive(open_ok())

    assert (greeting, nothing) == (b"AMQP\x00\x00\x09\x01", [])
    ((channel, ok),) = first
    assert (channel, ok.name, ok.mechanism, ok.response, ok.locale) == (
        0, "Connection.StartOk", "PLAIN", "\0me\0pw", "en_US",
    )  # fmt: skip
    assert ok.client_properties["connection_name"] == "w1"
    assert ok.client_properties["capabilities"]["connection.blocked"] is True
    assert [(channel, *plain(one)) for channel, one in then] == [
        (0, "Connection.TuneOk", {"channel_max": 2047, "frame_max": 65_536, "heartbeat": 20}),
        (0, "Connection.Open", dict(Conn.Open("v"))),
    ]
    assert events == [Opened()]
    assert (connection.opened, connection.frame_max, connection.heartbeat) == (True, 65_536, 20)
    assert connection.server == {"product": "RabbitMQ"}
    assert connection.data_to_send() == b""


@pytest.mark.parametrize(
    ("offered", "wanted", "agreed"), [(60, 20, 20), (10, 20, 10), (0, 20, 20), (60, 0, 0), (0, 0, 0)]
)
def test_the_shorter_heartbeat_wins_and_none_wanted_is_none(offered: int, wanted: int, agreed: int) -> None:
    connection = Connection(Credentials(heartbeat=wanted))

    connection.receive(start() + tune(heartbeat=offered))

    assert connection.heartbeat == agreed
    assert sent(connection.data_to_send())[1][1].heartbeat == agreed


@pytest.mark.parametrize(("offered", "agreed"), [(0, 131_072), (131_072, 131_072), (4096, 4096), (1 << 30, 131_072)])
def test_frames_are_never_larger_than_128_kib(offered: int, agreed: int) -> None:
    connection = Connection(Credentials())

    connection.receive(start() + tune(frame_max=offered))

    assert connection.frame_max == agreed


def test_external_login_says_nothing_but_its_name() -> None:
    connection = Connection(Credentials(mechanism="EXTERNAL"))

    connection.receive(start("PLAIN EXTERNAL"))

    ((_, ok),) = sent(connection.data_to_send())
    assert (ok.mechanism, ok.response) == ("EXTERNAL", "")


def test_a_login_that_is_not_offered_is_named() -> None:
    connection = Connection(Credentials(mechanism="EXTERNAL"))

    with pytest.raises(ProtocolError, match=r"no EXTERNAL login \(offered: PLAIN, AMQPLAIN\)"):
        connection.receive(start())


def test_a_refused_login_is_the_brokers_own_words() -> None:
    connection = Connection(Credentials())
    connection.receive(start())

    events = connection.receive(method(Conn.Close(403, "ACCESS_REFUSED - Login was refused", 0, 0)))

    assert events == [Closed(403, "ACCESS_REFUSED - Login was refused")]


@pytest.mark.parametrize(
    "steps",
    [
        [start(), start()],
        [tune()],
        [start(), open_ok()],
        [open_ok()],
        [start(), tune(), tune()],
        [start(), tune(), open_ok(), start()],
        [start(), tune(), open_ok(), tune()],
        [start(), tune(), open_ok(), open_ok()],
        [start(), method(Conn.Secure("again"))],
        [start(), method(Channel.OpenOk(), 1)],
        [start(), deliver(1)],
        [start(), method(Basic.Ack(1), 1)],
        [start(), method(Basic.GetEmpty(), 1)],
    ],
)
def test_what_is_out_of_turn_in_the_handshake_ends_it(steps: list[bytes]) -> None:
    connection = Connection(Credentials())

    with pytest.raises(ProtocolError):
        for step in steps:
            connection.receive(step)


def test_a_password_is_sent_once_however_often_it_is_asked_for() -> None:
    connection = Connection(Credentials())

    with pytest.raises(ProtocolError):
        connection.receive(start() + start())

    assert len(sent(connection.data_to_send())) == 1


def test_frames_below_the_protocols_least_are_refused() -> None:
    with pytest.raises(ProtocolError, match="at most 4095"):
        Connection(Credentials()).receive(start() + tune(frame_max=4095))


# Who is no broker


def test_another_version_of_the_protocol_is_named() -> None:
    with pytest.raises(ProtocolError, match=r"speaks AMQP 0\.10\.0"):
        Connection(Credentials()).receive(b"AMQP\x01\x00\x0a\x00")


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n", b"\x15\x03\x03\x00\x02\x02\x46", b"-ERR wrong\r\n"])
def test_who_speaks_something_else_is_known_at_once(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="is this a RabbitMQ port, and is TLS needed"):
        Connection(Credentials()).receive(data)


# Messages


def test_a_delivery_is_all_its_frames() -> None:
    (event,) = opened().receive(deliver(7, b"body", channel=3, redelivered=True, **PROPERTIES))

    assert event == Delivered(3, "consumer", 7, True, "exchange", "key", properties(**PROPERTIES), b"body")


@pytest.mark.parametrize("size", [0, 1, 4088, 4089, 10_000])
def test_a_body_may_come_in_any_number_of_frames(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    stream = method(Basic.Deliver("c", 1, False, "", "q"), 1) + content(1, data, {}, 4088)

    assert opened().receive(stream) == [Delivered(1, "c", 1, False, "", "q", b"\0\0", data)]


def test_empty_body_frames_are_nothing() -> None:
    stream = method(Basic.Deliver("c", 1, False, "", "q"), 1) + content_header(1, 2)
    stream += frame(3, 1, b"") + frame(3, 1, b"a") + frame(3, 1, b"") * 3 + frame(3, 1, b"b")

    (event,) = opened().receive(stream)

    assert isinstance(event, Delivered) and event.body == b"ab"


def test_messages_of_several_channels_may_be_interleaved() -> None:
    one = [method(Basic.Deliver("c", 1, False, "", "q"), 1), content_header(1, 2), frame(3, 1, b"ab")]
    two = [method(Basic.Deliver("d", 9, False, "", "p"), 2), content_header(2, 2), frame(3, 2, b"cd")]
    acked = method(Basic.Ack(5, True), 3)

    events = opened().receive(one[0] + two[0] + acked + one[1] + two[1] + two[2] + beat() + one[2])

    assert events == [
        Confirmed(3, 5, True, True),
        Delivered(2, "d", 9, False, "", "p", b"\0\0", b"cd"),
        Delivered(1, "c", 1, False, "", "q", b"\0\0", b"ab"),
    ]


def test_answers_to_get() -> None:
    got = method(Basic.GetOk(4, True, "e", "k", 99), 2) + content(2, b"x", {"priority": 3})

    events = opened().receive(got + method(Basic.GetEmpty(), 2))

    assert events == [Got(2, Delivered(2, "", 4, True, "e", "k", properties(priority=3), b"x")), Got(2, None)]


def test_a_returned_message_comes_before_its_confirm() -> None:
    back = method(Basic.Return(312, "NO_ROUTE", "e", "gone"), 1) + content(1, b"x")

    assert opened().receive(back + method(Basic.Ack(3), 1)) == [
        Returned(1, 312, "NO_ROUTE", "e", "gone", b"\0\0", b"x"),
        Confirmed(1, 3, False, True),
    ]


def test_confirms() -> None:
    stream = b"".join(
        method(one, 1)
        for one in (Basic.Ack(1), Basic.Ack((1 << 63) - 1, True), Basic.Nack(2, False), Basic.Nack(9, True))
    )

    assert opened().receive(stream) == [
        Confirmed(1, 1, False, True),
        Confirmed(1, (1 << 63) - 1, True, True),
        Confirmed(1, 2, False, False),
        Confirmed(1, 9, True, False),
    ]


# Everything else


def test_answers_and_cancels_are_pamqps_frames() -> None:
    events = opened().receive(method(Queue.DeclareOk("q", 3, 1), 4) + method(Basic.Cancel("c", True), 5))

    assert comparable(events) == [
        (4, "Queue.DeclareOk", {"queue": "q", "message_count": 3, "consumer_count": 1}),
        (5, "Basic.Cancel", {"consumer_tag": "c", "nowait": True}),
    ]


def test_blocked_and_unblocked() -> None:
    events = opened().receive(method(Conn.Blocked("low on memory")) + method(Conn.Unblocked()))

    assert events == [Blocked("low on memory"), Unblocked()]


def test_a_lost_channel_is_acknowledged() -> None:
    connection = opened()

    events = connection.receive(method(Channel.Close(404, "NOT_FOUND - no queue 'q'", 50, 10), 2))

    assert events == [ChannelLost(2, 404, "NOT_FOUND - no queue 'q'")]
    assert [(channel, one.name) for channel, one in sent(connection.data_to_send())] == [(2, "Channel.CloseOk")]


def test_after_the_end_nothing_is_heard() -> None:
    connection = opened()

    events = connection.receive(method(Conn.Close(320, "CONNECTION_FORCED", 0, 0)) + deliver(1))

    assert events == [Closed(320, "CONNECTION_FORCED")]
    assert [one.name for _, one in sent(connection.data_to_send())] == ["Connection.CloseOk"]
    assert connection.closed
    assert connection.receive(deliver(2) + b"whatever it is") == []
    connection.close()
    assert connection.data_to_send() == b""


def test_saying_goodbye() -> None:
    connection = opened()

    connection.close()
    goodbye = sent(connection.data_to_send())
    events = connection.receive(deliver(1) + method(Conn.CloseOk()))

    assert [(channel, one.name, one.reply_code) for channel, one in goodbye] == [(0, "Connection.Close", 200)]
    assert [type(event) for event in events] == [Delivered, Closed]
    assert connection.closed


def test_heartbeats_say_nothing() -> None:
    assert opened().receive(beat() * 3) == []


def test_what_is_written_leaves_in_order_and_once() -> None:
    connection = opened()

    connection.write(b"abc")
    connection.send(1, Channel.Open())
    connection.write(b"def")

    assert connection.data_to_send() == b"abc" + method(Channel.Open(), 1) + b"def"
    assert connection.data_to_send() == b""


# Chunks

MANY_FRAMES = (
    beat()
    + deliver(1, b"one", **PROPERTIES)
    + deliver(2, b"")
    + method(Basic.Ack(7, True), 2)
    + deliver(3, b"x" * 9000, channel=9)
    + method(Conn.Blocked("disk"))
    + method(Basic.GetOk(4, False, "", "q", 0), 3)
    + content(3, b"got" * 3000, {"headers": {"a": "ü"}}, 4088)
    + method(Queue.DeclareOk("q", 1, 2), 3)
    + method(Basic.Return(312, "NO_ROUTE", "", "q"), 2)
    + content(2, b"back")
    + method(Channel.Close(404, "gone", 0, 0), 8)
    + method(Conn.Unblocked())
    + deliver(5, b"two", **PROPERTIES) * 3
    + method(Conn.Close(320, "bye", 0, 0))
)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 11, 100, 4096])
def test_any_chunks_give_the_same_events_and_answers(size: int) -> None:
    whole, pieces = opened(), opened()

    expected = whole.receive(MANY_FRAMES)
    found = [event for at in range(0, len(MANY_FRAMES), size) for event in pieces.receive(MANY_FRAMES[at : at + size])]

    assert len(found) == 14
    assert comparable(found) == comparable(expected)
    assert pieces.data_to_send() == whole.data_to_send()


def test_the_handshake_too_may_come_byte_by_byte() -> None:
    connection = Connection(Credentials())

    events = [event for byte in start() + tune() + open_ok() for event in connection.receive(bytes([byte]))]

    assert events == [Opened()]


def test_a_large_frame_in_small_pieces_takes_time_by_its_size_and_not_by_the_square() -> None:
    connection = opened()
    stream = method(Basic.Deliver("c", 1, False, "", "q"), 1) + content(1, bytes(131_064))

    began = time.perf_counter()
    events = [event for at in range(len(stream)) for event in connection.receive(stream[at : at + 1])]

    assert len(events) == 1
    assert time.perf_counter() - began < 1.0, "8 GB are copied where every piece is joined to all before it"


# Hostile bytes


@pytest.mark.parametrize(
    ("stream", "complaint"),
    [
        (struct.pack(">BHI", 1, 1, 131_073), "size 131073"),
        (struct.pack(">BHI", 3, 1, 0xFFFFFFFF) + bytes(8), "size 4294967295"),
        (struct.pack(">BHI", 4, 1, 4) + bytes(8), "no AMQP frame"),
        (beat()[:-1] + b"\xcf", "end octet"),
        (frame(1, 1, b"\0\x3c\0")[:-1] + b"\x00", "end octet"),
        (frame(1, 1, b""), "."),
        (frame(1, 1, b"\0\x3c\0"), "."),
        (frame(1, 1, b"\0\x3c\xff\xff"), "."),
        (frame(1, 1, b"\0\x3c\0\x50" + bytes(4)) + beat() * 2, "."),
        (frame(1, 1, b"\0\x3c\0\x47" + bytes(8)) + beat() * 2, "."),
        (frame(1, 1, b"\0\x3c\0\x32" + bytes(1)) + beat() * 2, "."),
        (frame(1, 1, b"\0\x3c\0\x3c\xffabc") + beat() * 40, "."),
        (frame(1, 1, b"\0\x3c\0\x3c\x01\xff" + bytes(9) + b"\0\0") + content_header(1, 0), "."),
        (frame(2, 1, b"\0\x3c"), "belongs to no message"),
        (frame(3, 1, b"abc"), "belongs to no message"),
        (method(Basic.Deliver("c", 1, False, "", "q"), 1) + frame(3, 1, b"abc"), "out of place"),
        (method(Basic.Deliver("c", 1, False, "", "q"), 1) + content_header(1, 5) * 2, "out of place"),
        (method(Basic.Deliver("c", 1, False, "", "q"), 1) + content_header(1, 5, of_class=50), "out of place"),
        (method(Basic.Deliver("c", 1, False, "", "q"), 1) + content_header(1, 5, flags=b""), "out of place"),
        (method(Basic.Deliver("c", 1, False, "", "q"), 1) + content_header(1, 5, flags=b"\0"), "out of place"),
        (method(Basic.Deliver("c", 1, False, "", "q"), 1) + content_header(1, 2) + frame(3, 1, b"abc"), "longer"),
        (method(Basic.Deliver("c", 1, False, "", "q"), 1) + content_header(1, LARGEST_BODY + 1), "impossible size"),
        (method(Basic.Deliver("c", 1, False, "", "q"), 1) + method(Queue.DeclareOk("q", 0, 0), 1), "between the frames"),
        (deliver(1, channel=0), "channel"),
        (method(Queue.DeclareOk("q", 0, 0), 0), "channel"),
        (method(Conn.Close(320, "bye", 0, 0), 1), "channel"),
        (method(Channel.Close(320, "bye", 0, 0), 0), "channel"),
        (method(Queue.Declare(queue="q", arguments={"a": 1}), 1), "only a client sends"),
        (method(Basic.Publish(), 1), "only a client sends"),
        (method(Conn.StartOk({}), 0), "only a client sends"),
    ],
    ids=lambda part: part.hex()[:40] if isinstance(part, bytes) else "",
)  # fmt: skip
def test_what_is_no_amqp_ends_the_connection_for_good(stream: bytes, complaint: str) -> None:
    connection = opened()

    with pytest.raises(ProtocolError, match=complaint):
        connection.receive(stream)
    with pytest.raises(ProtocolError, match="failed before"):
        connection.receive(beat())


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_frame_too_short_for_its_method_never_borrows_from_the_next(step: int) -> None:
    # An acknowledgement without its tag, and a heartbeat where the tag would be.
    stream = frame(1, 1, b"\0\x3c\0\x50") + beat() + beat()
    connection = opened()

    with pytest.raises(ProtocolError):
        for at in range(0, len(stream), step):
            assert connection.receive(stream[at : at + step]) == []


def test_tables_inside_tables_cannot_exhaust_the_stack() -> None:
    item = b"V"
    for _ in range(20_000):
        item = b"A" + struct.pack(">I", len(item)) + item
    table = b"\x01k" + item
    hostile = b"\0\x0a\0\x0a\0\x09" + struct.pack(">I", len(table)) + table + struct.pack(">I", 5) + b"PLAIN" + bytes(4)

    with pytest.raises(ProtocolError, match="levels"):
        Connection(Credentials()).receive(frame(1, 0, hostile))


def test_a_moment_beyond_the_calendar_is_no_reason_to_break() -> None:
    table = b"\x01kT" + b"\x7f" * 8
    strange = b"\0\x0a\0\x0a\0\x09" + struct.pack(">I", len(table)) + table + struct.pack(">I", 5) + b"PLAIN" + bytes(4)
    connection = Connection(Credentials())

    assert connection.receive(frame(1, 0, strange)) == []
    assert connection.server == {"k": 0x7F7F7F7F7F7F7F7F}


def test_what_is_half_here_is_bounded_over_all_channels() -> None:
    connection = opened()
    half = LARGEST_BODY // 2

    for channel in (1, 2):
        connection.receive(method(Basic.Deliver("c", 1, False, "", "q"), channel) + content_header(channel, half))

    with pytest.raises(ProtocolError, match="impossible size"):
        connection.receive(method(Basic.Deliver("c", 1, False, "", "q"), 3) + content_header(3, 1))


def test_a_finished_message_makes_room_again() -> None:
    connection = opened()
    big = method(Basic.Deliver("c", 1, False, "", "q"), 1) + content_header(1, LARGEST_BODY - 1)

    connection.receive(big)
    connection.receive(deliver(1, b"x", channel=2))
    assert len(connection.receive(deliver(1, b"x", channel=2))) == 1


def test_empty_frames_without_end_hold_no_memory() -> None:
    connection = opened()
    connection.receive(method(Basic.Deliver("c", 1, False, "", "q"), 1) + content_header(1, 5))
    empty = frame(3, 1, b"") * 10_000

    tracemalloc.start()
    for _ in range(3):
        connection.receive(empty)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 100_000


def test_names_seen_in_deliveries_are_not_kept_for_ever() -> None:
    connection = opened()

    tracemalloc.start()
    for number in range(6_000):
        found = Basic.Deliver("c", 1, False, "", f"{number}".rjust(200, "k"))
        connection.receive(method(found, 1) + content(1, b"x"))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert held < 1_500_000


def test_a_name_that_is_no_text_is_a_protocol_error_however_it_comes() -> None:
    head = header.ContentHeader(0, 1, Basic.Properties())
    stream = frame(1, 1, b"\0\x3c\0\x3c\x01c" + bytes(8) + b"\0\0\x01\xff")
    stream += method(head, 1) + method(body.ContentBody(b"x"), 1)

    for step in (1, len(stream)):
        connection = opened()
        with pytest.raises(ProtocolError):
            for at in range(0, len(stream), step):
                connection.receive(stream[at : at + step])


def test_answered_keeps_what_it_was() -> None:
    (event,) = opened().receive(method(Channel.OpenOk(), 5))

    assert isinstance(event, Answered) and isinstance(event.frame, Channel.OpenOk)
