"""Kombu's envelopes on Redis, recorded once (`record_redis_golden.py`), read and written without a server.

Kombu's own message class is the judge of envelopes, Celery of what is in them.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kombu import Connection
from kombu.transport.virtual import Message as KombuMessage
from tests.interop.celery_reader import CeleryReader
from tests.interop.record_redis_golden import HEADERS
from tests.interop.test_amqp_golden import EXPECTED, ID
from tests.interop.test_celery import make_codec

from leveret.errors import ContentDisallowed
from leveret.links.redis import envelope
from leveret.links.redis.names import Names
from leveret.model.delivery import Charge, Encoded
from leveret.model.message import Message, TaskId

CODEC = make_codec()
GOLDEN = json.loads((Path(__file__).with_name("golden") / "redis.json").read_text())
NAMES = Names("", high_first=False, transport={})
READ = {name: expected for name, expected in EXPECTED.items() if name != "headers"}


def vector(name: str) -> bytes:
    return str(GOLDEN[name]["raw"]).encode()


def read(raw: bytes) -> Message:
    found = envelope.encoded(envelope.read(raw), raw, NAMES)
    return CODEC.decode(found, "q")


def judged(raw: bytes) -> KombuMessage:
    """Kombu's reading of an envelope; any of its virtual channels knows how."""
    with Connection("memory://") as connection:
        return KombuMessage(json.loads(raw), channel=connection.channel())


def write(message: Message) -> bytes:
    posting = CODEC.post(message)
    return envelope.write(posting, NAMES.on_wire(posting.priority), 0.0)


@pytest.fixture(scope="module")
def celery() -> Any:
    with CeleryReader() as reader:
        yield reader


@pytest.mark.parametrize("name", READ)
def test_celerys_task_is_read(name: str) -> None:
    shown = {"argsrepr": "(1, 2)", "kwargsrepr": "{'key': 'wert \u00fc'}"}
    expected = {"root_id": ID, "origin": "gen1@host", **shown, **READ[name]}

    message = read(vector(name))

    assert msgspec.structs.replace(message, reply_to=None) == Message(
        id=TaskId(ID), task="proj.add", args=(1, 2), kwargs={"key": "wert ü"}, queue="q", **expected
    )


def test_headers_are_read() -> None:
    assert read(vector("headers")).headers == {name: value for name, value in HEADERS.items() if value is not None}


def test_protocol_1_is_read() -> None:
    message = read(vector("v1"))

    assert (message.id, message.task, message.args, message.kwargs) == (ID, "proj.add", (1, 2), {"key": "wert ü"})


def test_pickle_is_refused_unless_it_is_named() -> None:
    with pytest.raises(ContentDisallowed, match="pickle"):
        read(vector("pickle"))


@pytest.mark.parametrize("name", GOLDEN)
def test_a_message_lies_where_we_look_for_its_priority(name: str) -> None:
    raw = vector(name)

    assert GOLDEN[name]["list"] == NAMES.list("q", envelope.priority(raw))


def test_what_a_celery_worker_gave_back_is_known_to_have_been_out() -> None:
    found = envelope.read(vector("given back"))

    assert found is not None and found.headers["redelivered"] is True
    assert envelope.anew(vector("given back")) != vector("given back")


@pytest.mark.parametrize("name", [*READ, "chain", "v1"])
def test_what_was_read_is_written_so_that_celery_sees_the_same(celery: CeleryReader, name: str) -> None:
    message = msgspec.structs.replace(read(vector(name)), task="interop.other", not_before=None)

    theirs = judged(write(message))

    assert theirs.properties["correlation_id"] == message.id
    assert theirs.properties.get("reply_to") == message.reply_to
    assert theirs.properties.get("priority", 0) == (message.priority or 0)
    assert theirs.delivery_info["routing_key"] == "q" and theirs.delivery_tag
    body = theirs.body if isinstance(theirs.body, bytes) else theirs.body.encode()
    seen = celery.read(Encoded(theirs.headers, body, theirs.content_type, theirs.content_encoding, message.reply_to))
    assert (seen["id"], seen["args"], seen["kwargs"]) == (ID, "[1, 2]", "{'key': 'wert ü'}")
    assert (seen["retries"], seen["group"], seen["group_index"]) == (
        message.attempt,
        message.group,
        message.group_index,
    )


@pytest.mark.parametrize("name", ["plain", "priority", "msgpack gzip", "given back"])
def test_what_happened_to_it_changes_nothing_that_celery_reads(name: str) -> None:
    raw = vector(name)

    changed = envelope.changed(raw, counted=True, charge=Charge(reason="signal 9", at=1.5, session="s"))

    before, after = judged(raw), judged(changed)
    assert (after.body, after.headers, after.content_type) == (before.body, before.headers, before.content_type)
    assert after.properties["delivery_info"] == {**before.properties["delivery_info"], "redelivered": True}
    assert json.loads(changed)["leveret"] == {
        "deliveries": 1,
        "charges": [{"reason": "signal 9", "at": 1.5, "session": "s"}],
    }
    assert read(changed) == read(raw)


def test_our_own_bytes_stay_as_they_are() -> None:
    message = Message(id=TaskId("an-id"), task="proj.add", args=(1,), queue="q", priority=5, reply_to="me", attempt=1)

    assert write(message) == (
        b'{"body":"W1sxXSx7fSx7fV0=","headers":{"task":"proj.add","id":"an-id","retries":1,'
        b'"leveret":{"v":1,"id":"an-id","retries":1,"priority":5}},"properties":{"delivery_tag":"an-id.1.q",'
        b'"delivery_info":{"exchange":"","routing_key":"q"},"priority":5,"reply_to":"me","correlation_id":"an-id",'
        b'"body_encoding":"base64","timestamp":0.0},"content-type":"application/json","content-encoding":"utf-8"}'
    )
