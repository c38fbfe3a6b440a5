import json
import zlib
from datetime import UTC, datetime

import msgspec
import pytest

from leveret.errors import ContentDisallowed, DecodeError, EncodeError, ImproperlyConfigured, MessageTooLarge
from leveret.logic.codec import Codec, Limits, ResultFormat
from leveret.logic.compression import Compressions, builtin_compressions
from leveret.logic.serializers import Serializers, builtin_serializers
from leveret.model.delivery import Encoded
from leveret.model.message import Embed, Message, TaskId
from leveret.model.signature import SignatureSpec


def make_codec(*accept: str, results: ResultFormat = ResultFormat(), **limits: int) -> Codec:  # noqa: B008 - frozen
    return Codec(
        Serializers(builtin_serializers()),
        Compressions(builtin_compressions()),
        Limits(**limits),
        accept=frozenset(accept or ("json",)),
        results=results,
    )


CODEC = make_codec()
ADD = Message(id=TaskId("an-id"), task="proj.add", args=(1, 2), queue="q")


def with_(message: Message = ADD, **changes: object) -> Message:
    return msgspec.structs.replace(message, **changes)


def received(headers: dict | None = None, body: object = ((1, 2), {}, {}), **changes: object) -> Encoded:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Encoded({"task": "proj.add", "id": "an-id", **(headers or {})}, data, **changes)


def test_a_plain_call_is_two_headers_and_a_slim_body() -> None:
    assert CODEC.encode(ADD) == Encoded({"task": "proj.add", "id": "an-id"}, b"[[1,2],{},{}]")
    assert CODEC.decode(received(), "q") == ADD


@pytest.mark.parametrize(("said", "read"), [(True, True), (False, False), (None, None)])
def test_what_a_plain_call_says_of_its_result_is_read(said: bool | None, read: bool | None) -> None:
    assert CODEC.decode(received({"ignore_result": said}, reply_to="me"), "q") == with_(
        ignore_result=read, reply_to="me"
    )


def test_what_celery_reads_as_absent_is_left_out_and_an_explicit_false_is_not() -> None:
    assert "root_id" not in CODEC.encode(with_(root_id="an-id")).headers
    assert CODEC.encode(with_(ignore_result=False)).headers["ignore_result"] is False
    assert "ignore_result" not in CODEC.encode(ADD).headers
    embed = Embed(callbacks=(SignatureSpec(task="x"),))
    assert list(json.loads(CODEC.encode(with_(embed=embed)).body)[2]) == ["callbacks"]


def test_moments_are_iso_in_utc_and_limits_are_hard_then_soft() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 250_000, UTC).timestamp()

    headers = CODEC.encode(with_(not_before=at, expires=at, time_limit=9.0, soft_time_limit=1.5)).headers

    assert headers["eta"] == headers["expires"] == "2026-01-02T03:04:05.250000+00:00"
    assert headers["timelimit"] == [9.0, 1.5]


def test_signatures_inside_signatures_become_dicts() -> None:
    inner = SignatureSpec(task="inner")
    spec = SignatureSpec(task="outer", args=((inner,),), kwargs={"tasks": [inner]}, options={"link_error": (inner,)})

    wire = json.loads(CODEC.encode(with_(embed=Embed(chord=spec))).body)[2]["chord"]

    assert wire["args"][0][0]["task"] == "inner"
    assert wire["kwargs"]["tasks"][0]["task"] == wire["options"]["link_error"][0]["task"] == "inner"


def test_our_own_header_is_written_only_when_there_is_something_to_say() -> None:
    assert "leveret" not in CODEC.encode(with_(attempt=3)).headers
    headers = CODEC.encode(with_(derived=True, settings={"result_expires": 5.0}, priority=7, attempt=3)).headers
    assert headers["leveret"] == {
        "v": 1, "id": "an-id", "retries": 3, "derived": True, "settings": {"result_expires": 5.0}, "priority": 7
    }  # fmt: skip


@pytest.mark.parametrize(
    "facts",
    [
        {"v": 1, "id": "an-id", "retries": 0, "derived": True, "priority": 3},
        {"v": 1, "id": "another", "retries": 1, "derived": True, "priority": 3},
        {"v": 2, "id": "an-id", "retries": 1, "derived": True, "priority": 3},
        {"v": 1, "id": "an-id", "retries": 1, "derived": "yes", "priority": "x", "settings": 1},
        ["v"],
        7,
    ],
)
def test_our_header_is_ignored_when_it_speaks_of_another_message(facts: object) -> None:
    message = CODEC.decode(received({"retries": 1, "leveret": facts}), "q")

    assert message == with_(attempt=1)


def test_a_posting_carries_where_and_when() -> None:
    message = with_(exchange="x", routing_key="k", priority=4, attempt=2, not_before=5.0, expires=6.0, derived=True)

    posting = CODEC.post(message)

    assert (posting.id, posting.queue, posting.exchange, posting.routing_key) == ("an-id", "q", "x", "k")
    assert (posting.priority, posting.attempt, posting.not_before, posting.expires) == (4, 2, 5.0, 6.0)
    assert posting.once and posting.encoded == CODEC.encode(message)
    assert not CODEC.post(ADD).once and CODEC.post(ADD).priority == 0


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"args": (1, {"user": {"name": object()}})}, "args[1].user.name"),
        ({"kwargs": {"when": [object()]}}, "kwargs.when[0]"),
        ({"headers": {"x": object()}}, "headers.x"),
        ({"headers": {"task": "evil"}}, "headers.task"),
        ({"settings": {"a": object()}}, "settings"),
        ({"not_before": 1e30}, "eta"),
        ({"embed": Embed(callbacks=(SignatureSpec(task="x", args=(object(),)),))}, "callbacks[0].args[0]"),
    ],
)
def test_what_cannot_be_sent_fails_at_the_call_and_names_its_path(changes: dict, path: str) -> None:
    with pytest.raises(EncodeError) as caught:
        CODEC.encode(with_(**changes))

    assert caught.value.path == path
    assert path in str(caught.value)


def test_a_priority_that_only_the_broker_knows_is_kept_and_our_own_header_is_stronger() -> None:
    plain = Encoded({"task": "t", "id": "i"}, b"[[], {}, {}]", priority=5)
    ours = CODEC.encode(Message(id=TaskId("i"), task="t", priority=7))

    assert CODEC.decode(plain, "q").priority == 5
    assert CODEC.decode(msgspec.structs.replace(plain, headers={**plain.headers, "retries": 1}), "q").priority == 5
    assert CODEC.decode(msgspec.structs.replace(ours, priority=9), "q").priority == 7


def test_own_headers_travel_and_what_a_broker_added_does_not() -> None:
    message = with_(headers={"mine": {"a": [1]}, "when": datetime(2026, 1, 1)})
    assert CODEC.decode(CODEC.encode(message), "q") == message

    headers = {"x-death": [1], "x-delivery-count": 3, "redelivered": True, "lang": "py", "mine": 1}
    assert CODEC.decode(received(headers), "q").headers == {"mine": 1}


def test_sizes_are_checked_at_the_call_and_again_by_the_reader() -> None:
    small = make_codec(message_bytes=100, header_bytes=60, result_bytes=50)

    with pytest.raises(MessageTooLarge, match="message_max_bytes"):
        small.encode(with_(args=("x" * 100,)))
    with pytest.raises(MessageTooLarge, match="headers"):
        small.encode(with_(headers={"mine": "x" * 60}))
    with pytest.raises(MessageTooLarge, match="result"):
        small.encode_value("x" * 50)
    with pytest.raises(DecodeError, match="100 are accepted"):
        small.decode(received(body=[["x" * 100], {}, {}]), "q")
    with pytest.raises(DecodeError, match="headers"):
        small.decode(received({"mine": "x" * 60}), "q")


def test_the_wire_size_is_checked_before_anything_is_parsed() -> None:
    class Untouched:
        def get(self, name: str) -> None:
            raise AssertionError("headers were looked at")

    with pytest.raises(DecodeError, match="are accepted"):
        make_codec(message_bytes=10).decode(Encoded(Untouched(), b"x" * 11), "q")


def test_a_compressed_body_inflates_to_no_more_than_the_limit() -> None:
    bomb = zlib.compress(json.dumps([["x" * 20_000_000], {}, {}]).encode())
    assert len(bomb) < 100_000

    with pytest.raises(DecodeError, match="inflates to more"):
        CODEC.decode(received({"compression": "application/x-gzip"}, bomb), "q")
    with pytest.raises(MessageTooLarge):
        CODEC.encode(with_(args=("x" * 20_000_000,), compression="gzip"))
    large = with_(args=("x" * 900_000,), compression="gzip")
    assert CODEC.decode(CODEC.encode(large), "q") == large


def test_content_is_read_only_where_it_is_accepted() -> None:
    pickled = make_codec("pickle").encode(with_(serializer="pickle"))

    with pytest.raises(ContentDisallowed, match="pickle"):
        make_codec("json", "msgpack", "yaml").decode(pickled, "q")
    with pytest.raises(ContentDisallowed, match="text/plain"):
        CODEC.decode(received(content_type="text/plain"), "q")
    assert make_codec("pickle").decode(pickled, "q").args == (1, 2)
    assert make_codec("application/x-python-serialize").decode(pickled, "q").args == (1, 2)


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"task": 5}, "task"),
        ({"task": ""}, "task"),
        ({"task": "a\nb"}, "task"),
        ({"task": "x" * 256}, "task"),
        ({"id": None}, "id"),
        ({"retries": "1"}, "retries"),
        ({"retries": -1}, "retries"),
        ({"retries": True}, "retries"),
        ({"eta": "tomorrow"}, "eta"),
        ({"eta": 5}, "eta"),
        ({"expires": []}, "expires"),
        ({"timelimit": [1]}, "timelimit"),
        ({"timelimit": [float("nan"), None]}, "timelimit"),
        ({"timelimit": 5}, "timelimit"),
        ({"group": 5}, "group"),
        ({"group_index": 1.5}, "group_index"),
        ({"ignore_result": 0}, "ignore_result"),
        ({"stamps": []}, "stamps"),
        ({"stamped_headers": [1]}, "stamped_headers"),
        ({"shadow": {}}, "shadow"),
        ({"compression": "lzw"}, "lzw"),
        ({"compression": 5}, "5"),
    ],
)
def test_a_bad_header_is_named(headers: dict, field: str) -> None:
    with pytest.raises(DecodeError, match=field):
        CODEC.decode(received(headers), "q")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (5, "body"),
        ([1, 2], "body"),
        ([5, {}, {}], "args"),
        (["ab", {}, {}], "args"),
        ([[], [], {}], "kwargs"),
        ([[], {}, []], "embed"),
        ([[], {}, {"callbacks": 5}], "embed.callbacks"),
        ([[], {}, {"callbacks": [5]}], r"callbacks\[0\]"),
        ([[], {}, {"chain": [{"task": "x"}, {}]}], r"chain\[1\].task"),
        ([[], {}, {"chord": {"task": "x", "args": 5}}], "chord.args"),
        ([[], {}, {"chord": {"task": "x", "options": [5]}}], "chord.options"),
        ([[], {}, {"callbacks": [{"task": "x"}] * 65}], "at most 64"),
        (b"[[], {}", "JSON"),
        (b"", "JSON"),
        ({"args": []}, "args|kwargs|task"),
    ],
)
def test_a_bad_body_is_named(body: object, field: str) -> None:
    encoded = received(body=body)
    if isinstance(body, dict):
        encoded = Encoded({}, encoded.body)

    with pytest.raises(DecodeError, match=field):
        CODEC.decode(encoded, "q")


def test_values_travel_by_the_result_serializer() -> None:
    assert CODEC.encode_value({"a": 1}) == b'{"a":1}'
    packed = make_codec(results=ResultFormat(serializer="msgpack"))
    assert packed.decode_value(packed.encode_value({"a": b"\xff"})) == {"a": b"\xff"}
    with pytest.raises(EncodeError) as caught:
        CODEC.encode_value([object()])
    assert caught.value.path == "result[0]"


def test_an_unknown_serializer_or_compression_is_the_callers_mistake() -> None:
    with pytest.raises(ImproperlyConfigured, match="jsn"):
        CODEC.encode(with_(serializer="jsn"))
    with pytest.raises(ImproperlyConfigured, match="lzw"):
        CODEC.encode(with_(compression="lzw"))


def test_limits_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="message_bytes"):
        Limits(message_bytes=0)


def test_what_is_shown_of_the_arguments_travels_where_it_is_said_or_wanted() -> None:
    hidden = with_(argsrepr="('****',)")
    assert CODEC.encode(hidden).headers == {"task": "proj.add", "id": "an-id", "argsrepr": "('****',)"}
    assert CODEC.decode(CODEC.encode(hidden), "q") == hidden

    telling = Codec(
        Serializers(builtin_serializers()), Compressions(()), Limits(), accept=frozenset({"json"}), shows_arguments=True
    )
    shown = {name: telling.encode(message).headers[name] for message in (ADD,) for name in ("argsrepr", "kwargsrepr")}
    assert shown == {"argsrepr": "(1, 2)", "kwargsrepr": "{}"}
    assert telling.encode(hidden).headers["argsrepr"] == "('****',)"
    assert len(telling.encode(with_(args=("x" * 10_000,))).headers["argsrepr"]) == 200


@pytest.mark.parametrize(
    ("header", "kept"), [("(1,)", "(1,)"), (5, None), (["x"], None), (None, None), ("y" * 5000, "y" * 1024)]
)
def test_a_strange_argsrepr_is_no_reason_to_lose_a_message(header: object, kept: str | None) -> None:
    assert CODEC.decode(received({"argsrepr": header}), "q").argsrepr == kept
