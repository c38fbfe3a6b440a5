"""Both directions against the real thing: Celery 5.7 in a process of its own."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.interop.celery_reader import CeleryReader, assert_celery_reads, from_wire
from tests.property import wire_values as wv

from leveret.errors import RemoteError
from leveret.logic.codec import Codec, Limits, ResultFormat
from leveret.logic.compression import Compressions, builtin_compressions
from leveret.logic.results import error_info, read_document, rebuild, write_meta, write_success
from leveret.logic.serializers import JSON, Serializers, builtin_serializers
from leveret.model.message import Embed, Message, TaskId
from leveret.model.signature import SignatureSpec


def make_codec(compression: str | None = None) -> Codec:
    return Codec(
        Serializers(builtin_serializers()),
        Compressions(builtin_compressions()),
        Limits(),
        accept=frozenset({"json", "msgpack", "yaml"}),
        results=ResultFormat(compression=compression),
    )


CODEC = make_codec()
GOLDEN = json.loads((Path(__file__).with_name("golden") / "celery.json").read_text())
NOT_FRESH = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def celery() -> Iterator[CeleryReader]:
    with CeleryReader() as reader:
        yield reader


def echo(*args: object, **kwargs: object) -> Message:
    return Message(id=TaskId("an-id"), task="interop.echo", args=args, kwargs=kwargs, queue="q")


@NOT_FRESH
@given(value=wv.values, keyword=wv.values)
def test_every_kind_of_value_goes_through_a_celery_worker_and_back(celery: CeleryReader, value, keyword) -> None:
    document, sent_on = celery.run(CODEC.encode(echo(value, key=keyword)))

    meta = read_document(JSON.loads(document), "")
    assert meta.status == "SUCCESS"
    assert wv.same(meta.result, [[value], {"key": keyword}])

    back = CODEC.decode(sent_on, "q")
    assert wv.same(list(back.args), [value])
    assert wv.same(back.kwargs, {"key": keyword})


CELERYS_OWN = st.recursive(
    st.one_of(
        st.binary(max_size=9),
        wv.datetimes,
        st.dates(),
        wv.times,
        st.decimals(allow_nan=False, allow_infinity=False),
        st.uuids(),
        wv.plain_scalars.filter(lambda value: value == value),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(wv.clean_text, inner, max_size=3)),
    max_leaves=5,
)


@NOT_FRESH
@given(value=CELERYS_OWN)
def test_a_celery_worker_gets_the_very_value_of_every_kind_it_knows(celery: CeleryReader, value) -> None:
    assert celery.read(CODEC.encode(echo(value)))["args"] == repr([value])


@NOT_FRESH
@given(message=wv.messages.filter(lambda message: message.serializer != "pickle"), value=wv.plain_values)
def test_celery_reads_every_field_of_any_message(celery: CeleryReader, message: Message, value) -> None:
    message = msgspec.structs.replace(message, task="interop.echo", args=(value,), kwargs={"key": value})

    seen = celery.read(CODEC.encode(message))

    moment = lambda at: at if at is None else datetime.fromtimestamp(at, UTC).isoformat()  # noqa: E731
    assert seen["args"] == repr([value])
    assert (seen["id"], seen["task"], seen["retries"]) == (message.id, message.task, message.attempt)
    assert (seen["eta"], seen["expires"]) == (moment(message.not_before), moment(message.expires))
    assert seen["time_limits"] == [message.time_limit, message.soft_time_limit]
    assert (seen["root_id"], seen["parent_id"]) == (message.root_id, message.parent_id)
    assert (seen["group"], seen["group_index"]) == (message.group, message.group_index)
    assert (seen["ignore_result"], seen["shadow"]) == (message.ignore_result or False, message.shadow) or (
        message.ignore_result is None and seen["ignore_result"] is None
    )
    assert set(seen["embed"]) == {
        name for name in ("callbacks", "errbacks", "chain", "chord") if getattr(message.embed, name)
    }


def test_an_embed_without_keys_runs_as_one_full_of_nulls(celery: CeleryReader) -> None:
    encoded = CODEC.encode(echo(1, 2))
    assert (encoded.headers, encoded.body) == ({"task": "interop.echo", "id": "an-id"}, b"[[1,2],{},{}]")

    document, _ = celery.run(encoded)

    assert read_document(JSON.loads(document), "").result == [[1, 2], {}]


def test_a_failure_in_celery_comes_back_as_its_class(celery: CeleryReader) -> None:
    document, _ = celery.run(CODEC.encode(Message(id=TaskId("f"), task="interop.fail", args=("boom", 1))))

    meta = read_document(JSON.loads(document), "")

    assert meta.status == "FAILURE" and meta.error is not None
    assert "in fail" in (meta.traceback or "")
    assert meta.date_done is not None and datetime.now(UTC) - meta.date_done < timedelta(minutes=1)
    made = rebuild(meta.error)
    assert isinstance(made, ValueError) and made.args == ("boom", 1)


def test_celery_reads_our_results(celery: CeleryReader) -> None:
    message = Message(id=TaskId("an-id"), task="t", group="g")

    seen = celery.read_result(write_success(CODEC, message, CODEC.encode_value({"a": b"x"}), 1.5))
    assert (seen["status"], seen["result"], seen["task_id"]) == ("SUCCESS", "{'a': b'x'}", "an-id")
    assert seen["date_done"] == "1970-01-01T00:00:01.500000+00:00"

    error = error_info(KeyError("k"), "the traceback")
    seen = celery.read_result(write_meta(CODEC, id="an-id", status="FAILURE", error=error, date_done=1.0))
    assert (seen["exception"], seen["traceback"]) == ("KeyError", "the traceback")

    for compression in ("gzip", "bzip2", "zstd"):
        packed = make_codec(compression)
        seen = celery.read_result(write_success(packed, message, packed.encode_value("a" * 1000), 1.5))
        assert seen["result"] == repr("a" * 1000)

    ours = error_info(RemoteError("Odd", "nowhere", 1))
    assert celery.read_result(write_meta(CODEC, id="i", status="RETRY", error=ours))["exception"] == "RemoteError"


def test_a_hundred_messages_are_read_at_once() -> None:
    encoded = [CODEC.encode(echo(number)) for number in range(100)]

    seen = assert_celery_reads((one.headers, one.body) for one in encoded)

    assert [one["args"] for one in seen] == [f"[{number}]" for number in range(100)]


# What Celery's own client writes, recorded once (`record_golden.py`)

LOG = SignatureSpec(task="proj.log", args=(5,), options={"queue": "q2"})
BODY = SignatureSpec(task="proj.sum", options={"queue": "q2"}, immutable=True, chord_size=2)
AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
DAY = datetime(2030, 1, 3, tzinfo=UTC).timestamp()
EXPECTED = {
    "plain": {},
    "eta and expires": {"not_before": AT + 0.678901, "expires": DAY - 7200},
    "naive eta": {"not_before": AT},
    "limits": {"time_limit": 30, "soft_time_limit": 2.5},
    "link": {"embed": Embed(callbacks=(LOG,))},
    "link_error": {"embed": Embed(errbacks=(LOG,))},
    "chain": {
        "embed": Embed(
            chain=(msgspec.structs.replace(LOG, task="proj.last"), msgspec.structs.replace(LOG, task="proj.next"))
        ),
        "root_id": "root",
    },
    "chord": {"embed": Embed(chord=BODY), "group": "g", "group_index": 1, "parent_id": "p", "root_id": "root"},
    "headers": {"headers": {"my_header": [1, "x"]}},
    "compressed": {"compression": "gzip"},
    "bzip2": {"compression": "bzip2"},
    "zstd": {"compression": "zstd"},
    "msgpack": {"serializer": "msgpack"},
    "yaml": {"serializer": "yaml"},
    "ignore_result": {"ignore_result": True},
    "third try": {"attempt": 2, "replaced_task_nesting": 1, "shadow": "add it"},
    "stamped": {"stamped_headers": ("customer",), "stamps": {"customer": "c1"}},
    "reply_to": {"reply_to": "a-queue"},
}
SHOWN = {"argsrepr": "[1, 2]", "kwargsrepr": "{'key': 'wert \u00fc'}"}
COMMON = {"root_id": "an-id", "origin": "gen1@host", "ignore_result": False, **SHOWN}


def golden(name: str) -> Message:
    return CODEC.decode(from_wire(GOLDEN[name]), "q")


@pytest.mark.parametrize("name", EXPECTED)
def test_what_celerys_client_writes_is_read(name: str) -> None:
    expected = {**COMMON, **EXPECTED[name]}

    assert golden(name) == Message(
        id=TaskId("an-id"), task="proj.add", args=(1, 2), kwargs={"key": "wert \u00fc"}, queue="q", **expected
    )


def test_a_countdown_is_a_moment() -> None:
    assert (golden("countdown").not_before or 0) > 1.7e9


def test_protocol_1_and_hybrid_messages_are_read() -> None:
    v1 = Message(
        id=TaskId("an-id"),
        task="proj.add",
        args=(1, 2),
        kwargs={"key": "wert \u00fc"},
        queue="q",
        attempt=1,
        expires=DAY,
        time_limit=3,
        group="g",
        embed=Embed(callbacks=(LOG,)),
    )

    assert golden("v1") == v1
    assert golden("hybrid") == msgspec.structs.replace(v1, attempt=4, headers={"mine": 1})


@pytest.mark.parametrize("name", EXPECTED)
def test_what_was_read_is_written_so_that_celery_sees_the_same(celery: CeleryReader, name: str) -> None:
    message = msgspec.structs.replace(golden(name), task="interop.other")

    seen = celery.read(CODEC.encode(message))

    theirs = from_wire(GOLDEN[name])
    original = celery.read(
        msgspec.structs.replace(theirs, headers={**theirs.headers, "task": "interop.other", "eta": seen["eta"]})
    )
    for same in (seen, original):
        same["embed"] = {name: value for name, value in same["embed"].items() if value is not None}
        same["root_id"] = same["root_id"] or same["id"]
        same["stamps"] = same["stamps"] or {}
        same["expires"] = same["expires"] and datetime.fromisoformat(same["expires"]).timestamp()
    assert seen == original
