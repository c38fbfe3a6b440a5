import math
from typing import Any

import pytest
from msgspec.structs import replace

from leveret.errors import EncodeError, QueueNotFound
from leveret.links.amqp import letters, names
from leveret.links.amqp.letters import Facts, Letter
from leveret.links.amqp.protocol import frames
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.protocol.properties import Properties, read_properties, write_properties
from leveret.model.delivery import Charge, Encoded, Posting

NOW = 1000.0
ENCODED = Encoded({"task": "a.b", "id": "1"}, b"[[],{},{}]")
FACTS = Facts(
    count=3,
    charges=(Charge(reason="signal 9", at=5.5, session="s"), Charge(reason="oom", at=6.0)),
    suspect=True,
    queue="photos",
    reason="crashed",
    at=7.25,
)


def posting(**fields: Any) -> Posting:
    return Posting(**{"id": "1", "queue": "photos", "encoded": ENCODED, **fields})


def received(headers: dict[str, Any], **fields: Any) -> bytes:
    return write_properties(Properties(content_type="application/json", headers=headers, **fields))


# Out


def test_a_task_goes_to_its_queue_by_the_default_exchange() -> None:
    letter = letters.letter(posting(), NOW)

    assert letter == Letter("", "photos", letter.properties, ENCODED.body, True, "photos", 0)
    assert read_properties(letter.properties) == Properties(
        content_type="application/json",
        content_encoding="utf-8",
        headers={"task": "a.b", "id": "1"},
        delivery_mode=2,
        correlation_id="1",
    )


def test_an_exchange_is_sent_to_with_its_own_key() -> None:
    letter = letters.letter(posting(exchange="media", routing_key="image.jpeg"), NOW)

    assert (letter.exchange, letter.routing_key, letter.queue) == ("media", "image.jpeg", "photos")


def test_who_waits_for_the_result_is_named_with_the_task() -> None:
    letter = letters.letter(posting(encoded=replace(ENCODED, reply_to="replies")), NOW)
    read = read_properties(letter.properties)

    assert (read.reply_to, read.correlation_id) == ("replies", "1")


@pytest.mark.parametrize(("priority", "written"), [(0, None), (1, 1), (9, 9), (400, 255)])
def test_priorities(priority: int, written: int | None) -> None:
    assert read_properties(letters.letter(posting(priority=priority), NOW).properties).priority == written


def test_a_transient_message_is_one() -> None:
    assert read_properties(letters.letter(posting(), NOW, mode=1).properties).delivery_mode == 1


@pytest.mark.parametrize(
    ("delay", "steps"), [(0.0001, 1), (0.032, 1), (0.0321, 2), (0.5, 16), (0.96, 30), (0.991, 31), (0.992, 31)]
)
def test_what_waits_less_than_a_second_takes_the_short_ladder_and_is_never_early_there(
    delay: float, steps: int
) -> None:
    letter = letters.delayed("photos", delay, b"", b"")

    assert letter.exchange == names.short_level(names.rung(steps))
    assert letter.routing_key == names.delayed_key(steps, "photos", names.SHORT_BITS)
    assert (letter.short, letter.delay, letter.late) == (steps, 0, True)
    assert steps * names.SHORT_STEP_MS / 1000 >= delay


@pytest.mark.parametrize(("delay", "seconds"), [(0.993, 1), (1.0, 1), (1.2, 2), (60.0, 60), (86_400.5, 86_401)])
def test_an_early_message_takes_the_ladder_and_is_never_early_there(delay: float, seconds: int) -> None:
    letter = letters.letter(posting(not_before=NOW + delay), NOW)

    assert letter.exchange == names.level(names.rung(seconds))
    assert letter.routing_key == names.delayed_key(seconds, "photos")
    assert (letter.queue, letter.delay, letter.mandatory) == ("photos", seconds, True)


@pytest.mark.parametrize("not_before", [None, 0.0, NOW, NOW - 5, -math.inf])
def test_what_is_due_goes_straight(not_before: float | None) -> None:
    assert letters.letter(posting(not_before=not_before), NOW).delay == 0


@pytest.mark.parametrize("delay", [names.LONGEST_DELAY + 1, 1e30, math.inf, math.nan])
def test_a_delay_beyond_the_ladder_is_refused(delay: float) -> None:
    with pytest.raises(EncodeError, match="ladder reaches 268435455 s"):
        letters.delayed("photos", delay, b"", b"")


def test_a_delay_needs_a_queue_to_arrive_in() -> None:
    with pytest.raises(QueueNotFound, match="exchange 'media'"):
        letters.letter(posting(queue="", exchange="media", not_before=NOW + 5), NOW)


# In


def test_a_plain_message_has_no_facts_and_keeps_its_table() -> None:
    encoded, facts, _ = letters.read(letters.letter(posting(), NOW).properties, ENCODED.body)

    assert encoded == ENCODED
    assert facts is letters.PLAIN


def test_what_a_sender_left_out_is_what_kombu_takes_it_for() -> None:
    encoded, _, _ = letters.read(b"\0\0", b"x")

    assert (encoded.content_type, encoded.content_encoding, encoded.reply_to) == ("application/data", "utf-8", None)


@pytest.mark.parametrize("headers", [{}, {"task": "t"}, {"task": "t", "id": "1"}, {"task": "t", "id": "1", "more": 1}])
@pytest.mark.parametrize("facts", [FACTS, Facts(count=2), Facts(suspect=True), Facts(charges=FACTS.charges)])
def test_facts_go_along_and_come_back_however_few_headers_there_are(headers: dict[str, Any], facts: Facts) -> None:
    encoded, _, read = letters.read(received(headers), b"x")

    again, found, _ = letters.read(letters.rewritten(read, encoded, facts), b"x")

    assert found == facts
    assert dict(again.headers) == headers


def test_facts_of_a_posting_are_written_beside_its_headers() -> None:
    encoded, facts, _ = letters.read(letters.letter(posting(), NOW, FACTS).properties, ENCODED.body)

    assert (dict(encoded.headers), facts) == (ENCODED.headers, FACTS)


def test_older_facts_do_not_outlive_newer_ones() -> None:
    encoded, _, read = letters.read(received({"id": "1"}), b"x")
    encoded, _, read = letters.read(letters.rewritten(read, encoded, FACTS), b"x")

    encoded, facts, _ = letters.read(letters.rewritten(read, encoded, Facts()), b"x")

    assert facts == Facts()


def test_a_senders_own_headers_stay_even_those_like_the_brokers() -> None:
    own = {"id": "1", "x-deathly": 1, "x-death-row": 2, "x-mine": 3, "leveret": {"v": 1}, "x-delivery-counter": 4}

    encoded, _, _ = letters.read(received({**own, "x-delivery-count": 2}), b"x")

    assert dict(encoded.headers) == own


def test_the_brokers_notes_are_read_and_kept_from_the_task() -> None:
    death = [{"reason": "delivery_limit", "queue": "photos", "count": 1}, {"reason": "expired"}]
    notes = {"x-death": death, "x-first-death-queue": "q", "x-last-death-reason": "r", "x-delivery-count": 7}

    encoded, facts, _ = letters.read(received({"id": "1", **notes}), b"x")

    assert dict(encoded.headers) == {"id": "1"}
    assert facts == Facts(broker_reason="by the broker: delivery_limit", returns=7)


def test_a_trip_on_the_ladder_is_no_reason_that_stays() -> None:
    encoded, facts, read = letters.read(received({"id": "1", "x-death": [{"reason": "expired"}]}), b"x")

    _, later, _ = letters.read(letters.rewritten(read, encoded, facts), b"x")

    assert (facts.broker_reason, later) == ("by the broker: expired", Facts())


@pytest.mark.parametrize(
    ("headers", "facts"),
    [
        ({letters.COUNT: "many"}, Facts()),
        ({letters.COUNT: -3}, Facts()),
        ({letters.COUNT: 0}, Facts()),
        ({letters.COUNT: True}, Facts()),
        ({letters.SUSPECT: 1}, Facts()),
        ({letters.QUEUE: 5, letters.REASON: [1], letters.AT: "now"}, Facts()),
        ({letters.CHARGES: "x"}, Facts()),
        ({letters.CHARGES: [1, ["oom"], ["oom", "x", "s"], [1, 2, 3], ["oom", 2, "s"]]},
         Facts(charges=(Charge(reason="oom", at=2.0, session="s"),))),
        ({"x-death": "x"}, Facts()),
        ({"x-death": []}, Facts()),
        ({"x-death": [5]}, Facts()),
        ({"x-delivery-count": -1}, Facts()),
    ],
)  # fmt: skip
def test_facts_of_the_wrong_kind_are_not_believed(headers: dict[str, Any], facts: Facts) -> None:
    encoded, found, _ = letters.read(received({"id": "1", **headers}), b"x")

    assert found == facts
    assert dict(encoded.headers) == {"id": "1"}


# Again


def test_what_is_sent_again_is_the_same_message_without_its_time_to_live() -> None:
    sender = Properties(
        content_type="application/x-msgpack",
        content_encoding="binary",
        headers={"task": "a.b", "id": "1", "expires": "2030-01-01T00:00:00+00:00"},
        delivery_mode=1,
        priority=5,
        correlation_id="1",
        reply_to="replies",
        expiration="60000",
        message_id="m",
    )
    encoded, facts, read = letters.read(write_properties(sender), b"x")

    again = read_properties(letters.rewritten(read, encoded, facts))

    assert again == replace(sender, expiration="")


def test_headers_that_fill_a_frame_give_way_to_the_facts() -> None:
    headers = {"task": "a.b", "id": "1", "blob": "x" * 131_000}
    encoded, _, read = letters.read(received(headers), b"x")

    properties = letters.rewritten(read, encoded, FACTS)

    assert frames.content(1, properties, b"x", 131_072)
    encoded, facts, _ = letters.read(properties, b"x")
    assert (dict(encoded.headers), facts) == ({"task": "a.b", "id": "1"}, FACTS)


def test_a_reason_of_any_length_fits() -> None:
    encoded, _, read = letters.read(received({"id": "1"}), b"x")

    properties = letters.rewritten(read, encoded, Facts(reason="x" * 1_000_000))

    assert letters.read(properties, b"x")[1].reason == "x" * 2_000


@pytest.mark.parametrize("raw", [b"\xff\xff rubbish", bytes(131_052)])
def test_what_nobody_can_read_is_a_dead_letter_with_its_bytes_where_they_fit(raw: bytes) -> None:
    message = Delivered(1, "c", 1, False, "", "photos", raw, b"body")
    with pytest.raises(ProtocolError):
        letters.read(b"\xff\xff rubbish", b"")

    letter = letters.unreadable(message, "photos", "undecodable: no text", 5.5)

    assert frames.content(1, letter.properties, letter.body, 131_072)
    _, facts, read = letters.read(letter.properties, letter.body)
    assert (letter.routing_key, letter.body) == ("leveret.dead.photos", b"body")
    assert facts == Facts(queue="photos", reason="undecodable: no text", at=5.5)
    assert read.headers.get(letters.RAW) == (raw if len(raw) < 100 else None)
