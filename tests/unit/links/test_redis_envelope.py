import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leveret.errors import EncodeError
from leveret.links.redis import envelope
from leveret.links.redis.envelope import UNREADABLE, Place
from leveret.links.redis.names import Names, suspects_of
from leveret.model.delivery import Charge, Encoded, Posting, Receipt

NAMES = Names("", high_first=True, transport={})
CHARGE = Charge(reason="signal 9", at=1.5, session="s")


def posting(**facts):
    encoded = Encoded({"task": "t", "id": "a"}, b"[[1],{},{}]", reply_to="me")
    return Posting(**{"id": "a", "queue": "q", "encoded": encoded, **facts})


def write(one):
    return envelope.write(one, NAMES.on_wire(one.priority), 12.5)


def deliver(raw, name="q"):
    return envelope.deliver(raw, Receipt("r"), Place.of(name), NAMES)


def test_it_is_kombus_envelope_without_what_it_does_without():
    assert json.loads(write(posting())) == {
        "body": "W1sxXSx7fSx7fV0=",
        "headers": {"task": "t", "id": "a"},
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "properties": {
            "delivery_tag": "a.0.q",
            "delivery_info": {"exchange": "", "routing_key": "q"},
            "priority": 9,
            "reply_to": "me",
            "correlation_id": "a",
            "body_encoding": "base64",
            "timestamp": 12.5,
        },
    }


IDS = st.text(max_size=5) | st.sampled_from(["a", 'q"\\', "\ud800", envelope._MARK])
HEADERS = st.fixed_dictionaries(
    {"task": st.sampled_from(["t", 'odd"%b', envelope._MARK])},
    optional={"ignore_result": st.booleans(), "eta": st.just("1"), "own": st.just({"deep": [1]})},
)
POSTINGS = st.builds(
    lambda id, named, headers, body, encoded, facts: Posting(
        id=id,
        queue="q",
        encoded=Encoded({**headers, "id": id if named else "another"}, body, **encoded),
        **facts,
    ),
    IDS,
    st.booleans() | st.just(True),
    HEADERS,
    st.binary(max_size=5),
    st.fixed_dictionaries(
        {}, optional={"reply_to": st.just("me"), "content_type": st.sampled_from(["a/b", UNREADABLE])}
    ),
    st.fixed_dictionaries({}, optional={"attempt": st.integers(0, 1), "once": st.booleans()}),
)


@given(st.lists(POSTINGS, max_size=6))
def test_many_are_written_as_each_is(postings):
    forms = envelope.Forms(9, 12.5)

    assert [forms.write(one) for one in postings] == [envelope.write(one, 9, 12.5) for one in postings]


def test_plain_calls_of_one_task_share_a_form():
    forms = envelope.Forms(9, 12.5)
    forms.write(posting())

    form = forms._by_task["t"]

    assert form is not None and form.end.startswith(b'","body_encoding"')


def test_what_is_written_is_read():
    sent = posting(priority=3)

    delivery = deliver(write(sent))

    assert delivery.encoded == Encoded(sent.encoded.headers, sent.encoded.body, reply_to="me", priority=3)
    assert (delivery.queue, delivery.count, delivery.charges, delivery.suspect) == ("q", 1, (), False)
    assert not delivery.redelivered


@pytest.mark.parametrize("value", [float("inf"), 2**80, "\ud800", {"deep": [float("-inf")]}])
def test_headers_are_written_as_python_writes_them(value):
    encoded = Encoded({"task": "t", "id": "a", "own": value}, b"")

    assert deliver(write(posting(encoded=encoded))).encoded.headers["own"] == value


def test_a_header_that_is_no_json_is_refused():
    with pytest.raises(EncodeError, match="a header cannot be stored"):
        write(posting(encoded=Encoded({"own": object()}, b"")))


def test_what_happened_to_a_message_goes_with_it():
    raw = write(posting(once=True, attempt=2))

    raw = envelope.changed(envelope.changed(raw, counted=True), counted=True, charge=CHARGE)

    delivery = deliver(raw, suspects_of("q"))
    assert (delivery.count, delivery.charges, delivery.suspect) == (3, (CHARGE,), True)
    assert delivery.redelivered, "as kombu says it, for Celery's workers"
    assert envelope.once(raw) == ("a", 2)


def test_unstarted_work_goes_back_as_it_came():
    raw = write(posting())

    assert envelope.changed(raw) is raw


def test_another_life_begins_without_a_past():
    raw = write(posting(once=True))
    used = envelope.changed(raw, counted=True, charge=CHARGE)

    again = deliver(envelope.anew(used))

    assert (again.count, again.charges, again.redelivered) == (1, (), False)
    assert envelope.once(envelope.anew(used)) == ("a", 0)
    assert json.loads(envelope.anew(envelope.changed(write(posting()), counted=True))) == json.loads(write(posting()))


def test_what_others_wrote_beside_stays():
    raw = json.dumps({**json.loads(write(posting())), "theirs": 1, "leveret": None}).encode()

    assert json.loads(envelope.changed(raw, counted=True))["theirs"] == 1


def test_celerys_own_is_read():
    raw = json.dumps(
        {
            "body": "W1tdLCB7fSwge31d",
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"id": "b", "task": "t", "redelivered": True},
            "properties": {
                "correlation_id": "b", "reply_to": "me", "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": "celery"}, "delivery_tag": "tag",
            },
        }
    ).encode()  # fmt: skip

    delivery = deliver(raw)

    assert (delivery.encoded.body, delivery.encoded.reply_to, delivery.encoded.priority) == (b"[[], {}, {}]", "me", 9)
    assert delivery.redelivered


def test_a_body_that_is_plain_text_is_read():
    raw = b'{"body": "[[], {}, {}]", "headers": {"id": "b"}, "properties": {}}'

    assert deliver(raw).encoded.body == b"[[], {}, {}]"


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"no json", b"[]", b"1", b"\xff\xfe", b'{"headers": {}, "properties": {}}',
        b'{"body": "", "headers": [], "properties": {}}', b'{"body": "", "headers": {}, "properties": {"priority": "x"}}',
        b'{"body": "", "headers": {}, "properties": {}, "leveret": {"deliveries": "x"}}', b"[" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_envelope_travels_as_it_came(raw):
    delivery = deliver(raw)

    assert delivery.encoded == Encoded({}, raw, UNREADABLE, "binary")
    assert envelope.changed(raw, counted=True) == raw == envelope.anew(raw)
    assert envelope.once(raw) is None
    assert write(posting(encoded=delivery.encoded)) == raw


@pytest.mark.parametrize("body", ['"body": 5', '"body": "%%%"'])
def test_nor_does_a_body_that_is_none_hinder_anybody(body):
    raw = f'{{{body}, "headers": {{}}, "properties": {{"body_encoding": "base64"}}}}'.encode()

    assert deliver(raw).encoded == Encoded({}, raw, UNREADABLE, "binary")
