"""The bytes of Celery's messages on RabbitMQ, recorded once (`record_amqp_golden.py`), read and written without a broker.

py-amqp is the judge of property lists, Celery of what is in them.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from amqp.basic_message import Message as AmqpMessage
from celery import Celery
from kombu.transport.pyamqp import Message as KombuMessage
from tests.interop.celery_reader import CeleryReader
from tests.interop.test_celery import make_codec

from leveret.errors import ContentDisallowed
from leveret.links.amqp import letters
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.protocol.properties import read_properties
from leveret.links.amqp.replybox import read_reply, reply
from leveret.logic.codec import Codec, Limits, ResultFormat
from leveret.logic.compression import Compressions, builtin_compressions
from leveret.logic.results import error_info, read_meta, rebuild, write_meta, write_success
from leveret.logic.serializers import Serializers, builtin_serializers
from leveret.model.delivery import Encoded
from leveret.model.message import Embed, Message, TaskId
from leveret.model.settlement import Record
from leveret.model.signature import SignatureSpec

CODEC = make_codec()
GOLDEN = json.loads((Path(__file__).with_name("golden") / "amqp.json").read_text())
ID = "11111111-2222-3333-4444-555555555555"
LATER = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC).timestamp()
LINK = SignatureSpec(task="proj.log", args=(5,), options={"queue": "q2"})


def vector(part: str, name: str) -> tuple[bytes, bytes]:
    recorded = GOLDEN[part][name]
    return base64.b64decode(recorded["properties"]), base64.b64decode(recorded["body"])


def judged(properties: bytes) -> AmqpMessage:
    """py-amqp's reading of a property list."""
    message = AmqpMessage()
    message._load_properties(60, properties, 0)
    return message


# Reading tasks


EXPECTED: dict[str, dict[str, Any]] = {
    "plain": {},
    "eta": {"not_before": LATER},
    "expires": {"expires": LATER},
    "priority": {"priority": 9},
    "priority 0": {},
    "transient": {},
    "limits": {"time_limit": 30, "soft_time_limit": 2.5},
    "ignored": {"ignore_result": True},
    "shadow": {"shadow": "add it"},
    "headers": {
        "headers": {
            "text": "w\u00f6rt \U0001f407",
            "empty": "",
            "small": 7,
            "negative": -1,
            "large": 2**40,
            "half": 0.5,
            "yes": True,
            "list": [1, "x", [True, None], {"a": [2]}],
            "table": {"a": {"b": {"c": "d"}}, "n": -(2**33)},
            "moment": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
            "price": Decimal("12.34"),
            "bytes": b"\xff\x00\xfe",
        }
    },
    "stamps": {"stamped_headers": ("customer",), "stamps": {"customer": "c1"}},
    "tree": {"root_id": "root", "parent_id": "parent", "group": "g", "group_index": 3},
    "third try": {"attempt": 2},
    "gzip": {"compression": "gzip"},
    "bzip2": {"compression": "bzip2"},
    "zstd": {"compression": "zstd"},
    "msgpack": {"serializer": "msgpack"},
    "msgpack gzip": {"serializer": "msgpack", "compression": "gzip"},
    "yaml": {"serializer": "yaml"},
    "links": {"embed": Embed(callbacks=(LINK,), errbacks=(LINK,))},
}


def read(name: str) -> Message:
    properties, body = vector("tasks", name)
    encoded, _, _ = letters.read(properties, body)
    return CODEC.decode(encoded, "q")


@pytest.mark.parametrize("name", EXPECTED)
def test_celerys_task_is_read(name: str) -> None:
    shown = {"argsrepr": "(1, 2)", "kwargsrepr": "{'key': 'wert \u00fc'}"}
    expected = {"root_id": ID, "origin": "gen1@host", **shown, **EXPECTED[name]}

    message = read(name)

    assert message.reply_to is not None
    assert msgspec.structs.replace(message, reply_to=None) == Message(
        id=TaskId(ID), task="proj.add", args=(1, 2), kwargs={"key": "wert \u00fc"}, queue="q", **expected
    )


def test_celerys_chain_is_read() -> None:
    steps = read("chain").embed.chain

    assert [(step.task, step.args, step.options["task_id"]) for step in steps] == [
        ("proj.add", (2,), "step-2"),
        ("proj.add", (1,), "step-1"),
    ]
    assert {step.options["reply_to"] for step in steps} == {read("chain").reply_to}


def test_protocol_1_is_read() -> None:
    message = read("v1")

    assert (message.id, message.task, message.args, message.kwargs) == (ID, "proj.add", (1, 2), {"key": "wert \u00fc"})


def test_pickle_is_refused_unless_it_is_named() -> None:
    with pytest.raises(ContentDisallowed, match="pickle"):
        read("pickle")


@pytest.mark.parametrize("name", GOLDEN["tasks"])
def test_property_lists_are_read_as_py_amqp_reads_them(name: str) -> None:
    properties, _ = vector("tasks", name)
    theirs = judged(properties).properties

    ours = read_properties(properties)

    assert ours.content_type == theirs["content_type"]
    assert ours.content_encoding == theirs["content_encoding"]
    assert ours.delivery_mode == theirs["delivery_mode"]
    assert ours.priority == theirs["priority"]
    assert (ours.correlation_id, ours.reply_to) == (theirs["correlation_id"], theirs["reply_to"])
    assert ours.expiration == theirs.get("expiration", "")
    assert as_theirs(ours.headers) == theirs["application_headers"]


def as_theirs(value: Any) -> Any:
    """py-amqp reads timestamps as naive UTC, and bytes as the text they may be."""
    match value:
        case Mapping():
            return {name: as_theirs(item) for name, item in value.items()}
        case list():
            return [as_theirs(item) for item in value]
        case datetime():
            return value.astimezone(UTC).replace(tzinfo=None)
    return value


# Writing tasks


@pytest.mark.parametrize("name", [*EXPECTED, "chain", "v1"])
def test_what_was_read_is_written_so_that_celery_sees_the_same(celery: CeleryReader, name: str) -> None:
    message = msgspec.structs.replace(read(name), task="interop.other")
    if name == "headers":
        # JSON is this reader's only way in; the table itself is compared below.
        message = msgspec.structs.replace(message, headers={})

    letter = letters.letter(CODEC.post(msgspec.structs.replace(message, not_before=None)), now=0)

    theirs = judged(letter.properties).properties
    assert theirs["correlation_id"] == message.id
    assert theirs["reply_to"] == message.reply_to
    assert theirs["delivery_mode"] == 2
    assert theirs.get("priority") == message.priority
    encoded = Encoded(
        theirs["application_headers"], letter.body, theirs["content_type"], theirs["content_encoding"], message.reply_to
    )
    seen = celery.read(encoded)
    assert (seen["id"], seen["args"], seen["kwargs"]) == (ID, "[1, 2]", "{'key': 'wert \u00fc'}")
    assert (seen["retries"], seen["group"], seen["group_index"]) == (
        message.attempt,
        message.group,
        message.group_index,
    )
    assert seen["time_limits"] == [message.time_limit, message.soft_time_limit]
    assert set(seen["embed"]) == {
        part for part in ("callbacks", "errbacks", "chain", "chord") if getattr(message.embed, part)
    }


@pytest.fixture(scope="module")
def celery() -> Any:
    with CeleryReader() as reader:
        yield reader


def test_a_header_table_is_written_as_py_amqp_reads_it() -> None:
    headers = read("headers").headers
    properties = letters.letter(CODEC.post(msgspec.structs.replace(read("plain"), headers=headers)), now=0).properties

    theirs = judged(properties).properties["application_headers"]

    plain = {name: value for name, value in headers.items() if name not in ("moment", "price", "bytes")}
    assert {name: theirs[name] for name in plain} == plain


def test_our_own_bytes_stay_as_they_are() -> None:
    message = Message(id=TaskId("an-id"), task="proj.add", args=(1,), priority=5, reply_to="a-queue", attempt=1)

    letter = letters.letter(CODEC.post(message), now=0)

    assert letter.properties == (
        b"\xfe\x00\x10application/json\x05utf-8"
        b"\x00\x00\x00x\x04taskS\x00\x00\x00\x08proj.add\x02idS\x00\x00\x00\x05an-id\x07retriesl\x00\x00\x00\x00"
        b"\x00\x00\x00\x01\x07leveretF\x00\x00\x00;\x01vl\x00\x00\x00\x00\x00\x00\x00\x01\x02idS\x00\x00\x00\x05an-id"
        b"\x07retriesl\x00\x00\x00\x00\x00\x00\x00\x01\x08priorityl\x00\x00\x00\x00\x00\x00\x00\x05"
        b"\x02\x05\x05an-id\x07a-queue"
    )
    assert letter.body == b"[[1],{},{}]"


# Results


RESULTS = {
    "value": ("SUCCESS", {"a": [1, None, 2.5], "\u00fc": True}),
    "nothing": ("SUCCESS", None),
    "failure": ("FAILURE", "ValueError('boom', 1)"),
    "retry": ("RETRY", "KeyError('again')"),
    "revoked": ("REVOKED", "RuntimeError('revoked')"),
    "started": ("STARTED", {"pid": 1, "hostname": "w@h"}),
    "progress": ("PROGRESS", {"done": 3}),
}


def delivered(properties: bytes, body: bytes) -> Delivered:
    return Delivered(1, "replies", 1, False, "", "a-reply-queue", properties, body)


@pytest.mark.parametrize("serializer", ["json", "msgpack", "yaml"])
@pytest.mark.parametrize("name", RESULTS)
def test_celerys_result_is_read(name: str, serializer: str) -> None:
    state, value = RESULTS[name]

    record = read_reply(delivered(*vector("results", f"{name} {serializer}")))

    assert record is not None
    assert (record.id, record.state, record.terminal) == ("an-id", state, state in ("SUCCESS", "FAILURE", "REVOKED"))
    meta = read_meta(record, CODEC)
    assert (meta.task_id, meta.status) == ("an-id", state)
    if meta.error is None:
        assert meta.result == value
    else:
        assert repr(rebuild(meta.error)) == value
        assert meta.traceback == "Traceback ..."


@pytest.mark.parametrize("name", RESULTS)
def test_a_pickled_result_wakes_its_waiter_and_is_not_loaded(name: str) -> None:
    record = read_reply(delivered(*vector("results", f"{name} pickle")))

    assert record is not None
    assert (record.id, record.state) == ("an-id", RESULTS[name][0])
    with pytest.raises(ContentDisallowed):
        read_meta(record, CODEC)


@pytest.mark.parametrize(
    "body", [b'{"status": "SUCCESS", "result": NaN}', b'{"status": "SUCCESS", "result": [-Infinity]}']
)
def test_a_result_that_only_pythons_json_reads_is_a_result(body: bytes) -> None:
    properties, _ = vector("results", "value json")

    record = read_reply(delivered(properties, body))

    assert record is not None and (record.state, record.terminal) == ("SUCCESS", True)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[1]"),
        ("application/json", b'{"status": 7}'),
        ("application/json", b"\xff"),
        ("application/x-msgpack", b"\xc1"),
        ("application/x-yaml", b"a: [b"),
        ("application/x-yaml", b"- a"),
        ("application/x-yaml", b"!!python/object/apply:os.system ['true']"),
    ],
)
def test_what_is_no_result_is_nobodys(content_type: str, body: bytes) -> None:
    properties = letters.write_properties(letters.Properties(content_type=content_type, correlation_id="an-id"))

    assert read_reply(delivered(properties, body)) is None


@pytest.mark.parametrize("serializer", ["json", "msgpack", "yaml"])
@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "RETRY", "PROGRESS"])
def test_celery_reads_our_result(state: str, serializer: str) -> None:
    codec = Codec(
        Serializers(builtin_serializers()),
        Compressions(builtin_compressions()),
        Limits(),
        accept=frozenset({"json"}),
        results=ResultFormat(serializer=serializer),
    )
    message = Message(id=TaskId("an-id"), task="t")
    match state:
        case "SUCCESS":
            meta = write_success(codec, message, codec.encode_value({"a": [1, b"\xff"]}), 1.5)
        case "PROGRESS":
            meta = write_meta(codec, id="an-id", status=state, result={"done": 3})
        case _:
            meta = write_meta(codec, id="an-id", status=state, error=error_info(ValueError("boom", 1), "Traceback ..."))
    record = Record(
        id=TaskId("an-id"),
        attempt=0,
        state=state,
        meta=meta,
        content_type=codec.result_serializer.content_type,
        reply_to="a-reply-queue",
    )

    letter = reply(record, persistent=False)

    assert (letter.exchange, letter.routing_key) == ("", "a-reply-queue")
    theirs = judged(letter.properties)
    theirs.body, theirs.delivery_info = letter.body, {"delivery_tag": 1}
    app = Celery("reader", backend="rpc://", set_as_current=False)
    heard = KombuMessage(
        theirs, channel=None, accept={"application/json", "application/x-msgpack", "application/x-yaml"}
    )
    assert heard.properties["correlation_id"] == "an-id"
    found = app.backend.meta_from_decoded(heard.payload)
    assert (found["task_id"], found["status"]) == ("an-id", state)
    if state == "SUCCESS":
        assert found["result"] == {"a": [1, b"\xff"]}
    elif state == "PROGRESS":
        assert found["result"] == {"done": 3}
    else:
        assert repr(found["result"]) == "ValueError('boom', 1)"
        assert found["traceback"] == "Traceback ..."
