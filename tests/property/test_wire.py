"""What goes in comes out; what nobody should send ends as an error of ours and nothing else."""

import json
from contextlib import suppress

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.property import wire_values as wv

from leveret.errors import DecodeError
from leveret.logic.codec import Codec, Limits
from leveret.logic.compression import Compressions, builtin_compressions
from leveret.logic.results import read_document, rebuild, write_success
from leveret.logic.serializers import (
    JSON,
    MSGPACK,
    YAML,
    Serializers,
    builtin_serializers,
    dumps_call,
    dumps_calls,
    is_too_deep,
)
from leveret.logic.wire.jsontags import is_plain
from leveret.logic.wire.plain import Arguments
from leveret.model.delivery import Encoded
from leveret.model.message import Message, TaskId
from leveret.model.outcome import ErrorInfo

ALL = frozenset({"json", "msgpack", "yaml", "pickle"})
SAFE = frozenset({"json", "msgpack", "yaml"})


def make_codec(accept: frozenset[str] = ALL, **limits: int) -> Codec:
    return Codec(
        Serializers(builtin_serializers()), Compressions(builtin_compressions()), Limits(**limits), accept=accept
    )


CODEC = make_codec()


@given(wv.values)
def test_json_gives_back_every_value_it_takes(value: object) -> None:
    assert wv.same(JSON.loads(JSON.dumps(value)), value)


CALLS = st.lists(
    st.tuples(st.lists(wv.values, max_size=2).map(tuple), st.dictionaries(st.text(max_size=3), wv.values, max_size=1)),
    max_size=3,
)


@given(CALLS | st.lists(st.tuples(st.lists(st.text(max_size=3) | st.integers(), max_size=2).map(tuple), st.just({}))))
def test_many_calls_are_written_as_each_is(calls: list[Arguments]) -> None:
    assert dumps_calls(calls) == [dumps_call(args, kwargs) for args, kwargs in calls]


@given(wv.plain_values)
def test_the_fast_way_and_the_standard_library_agree_on_plain_values(value: object) -> None:
    data = JSON.dumps(value)

    assert is_plain(value)
    assert wv.same(json.loads(data), value)
    assert wv.same(JSON.loads(json.dumps(value).encode()), value)


@given(st.recursive(st.one_of(wv.plain_scalars), lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_what_pythons_json_writes_is_read_with_nan_surrogates_and_any_integer(value: object) -> None:
    assert wv.same(JSON.loads(json.dumps(value).encode()), value)


@given(st.lists(st.sampled_from(["list", "dict", "pair", "shut", "quoted"]), max_size=40))
def test_depth_is_told_exactly_whatever_strings_hold(layers: list[str]) -> None:
    value: object = "]]}["
    for layer in layers:
        value = {
            "list": [value],
            "dict": {'[["\\': value},
            "pair": ["[[[[[{", value, [[]]],
            "shut": ["]", value],
            "quoted": ['\\"}', "", value, '"'],
        }[layer]
    real = _depth(value)

    assert is_too_deep(json.dumps(value).encode(), 20) == (real > 20)
    assert is_too_deep(json.dumps(value).encode(), real) is False


def _depth(node: object) -> int:
    if isinstance(node, dict):
        return 1 + max(map(_depth, node.values()), default=0)
    return 1 + max(map(_depth, node), default=0) if isinstance(node, list) else 0


@given(wv.values)
@settings(max_examples=50)
def test_msgpack_gives_back_every_value_without_lone_surrogates(value: object) -> None:
    with suppress(UnicodeEncodeError):
        json.dumps(JSON.dumps(value).decode()).encode()
        try:
            data = MSGPACK.dumps(value)
        except Exception as error:
            assert "surrogates" in str(error)
        else:
            assert wv.same(MSGPACK.loads(data), value)


@given(wv.plain_values)
@settings(max_examples=50)
def test_yaml_gives_back_plain_values(value: object) -> None:
    assert wv.same(YAML.loads(YAML.dumps(value)), value)


def _reads_back(message: Message) -> Message:
    return CODEC.decode(CODEC.encode(message), message.queue)


@given(wv.messages.filter(lambda message: message.serializer == "json"))
def test_a_message_comes_back_as_it_was_sent(message: Message) -> None:
    back = _reads_back(message)

    assert wv.same(list(back.args), list(message.args))
    assert wv.same(back.kwargs, message.kwargs)
    assert msgspec.structs.replace(back, args=(), kwargs={}) == msgspec.structs.replace(message, args=(), kwargs={})


@given(wv.messages, wv.plain_values)
@settings(max_examples=50)
def test_every_serializer_carries_every_field(message: Message, value: object) -> None:
    message = msgspec.structs.replace(message, args=(value,), kwargs={"key": value})

    assert _reads_back(message) == message


hostile_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), wv.clean_text),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                wv.clean_text,
                st.sampled_from(
                    [
                        "task",
                        "id",
                        "args",
                        "kwargs",
                        "callbacks",
                        "chord",
                        "chain",
                        "options",
                        "__leveret__",
                        "__type__",
                        "__value__",
                        "v",
                        "retries",
                    ]
                ),
            ),
            inner,
            max_size=5,
        ),
        wv.tag_like(inner),
    ),
    max_leaves=12,
)
field_names = st.sampled_from(
    [
        "task",
        "id",
        "eta",
        "expires",
        "retries",
        "timelimit",
        "group",
        "group_index",
        "root_id",
        "parent_id",
        "shadow",
        "origin",
        "ignore_result",
        "stamps",
        "stamped_headers",
        "replaced_task_nesting",
        "compression",
        "leveret",
        "x-death",
        "argsrepr",
    ]
)
headers = st.dictionaries(st.one_of(field_names, wv.clean_text), hostile_json, max_size=6)
content_types = st.sampled_from(
    [
        "application/json",
        "application/x-msgpack",
        "application/x-yaml",
        "application/x-python-serialize",
        "text/plain",
        "",
    ]
)
SAFE_CODEC = make_codec(SAFE)


@given(headers, st.one_of(st.binary(max_size=60), hostile_json.map(lambda v: json.dumps(v).encode())), content_types)
@settings(max_examples=300)
def test_hostile_messages_end_as_decode_errors_only(table: dict, body: bytes, content_type: str) -> None:
    with suppress(DecodeError):
        SAFE_CODEC.decode(Encoded(table, body, content_type), "q")


@given(headers, hostile_json, hostile_json, hostile_json)
@settings(max_examples=300)
def test_hostile_fields_end_as_a_message_or_a_decode_error(
    table: dict, args: object, kwargs: object, embed: object
) -> None:
    body = json.dumps([args, kwargs, embed]).encode()
    encoded = Encoded({**table, "task": "t", "id": "i"}, body)

    with suppress(DecodeError):
        message = SAFE_CODEC.decode(encoded, "q")
        assert (message.task, message.id, message.queue) == ("t", "i", "q")
        assert isinstance(message.args, tuple) and isinstance(message.kwargs, dict)


@given(wv.values)
def test_a_success_reads_back_its_value(value: object) -> None:
    message = Message(id=TaskId("i"), task="t")

    meta = read_document(JSON.loads(write_success(CODEC, message, CODEC.encode_value(value), 1.5)), "i")

    assert wv.same(meta.result, value)


@given(
    st.sampled_from(["builtins", "os", "subprocess", "sys", "leveret.errors", "nowhere"]),
    st.sampled_from(
        [
            "ValueError",
            "system",
            "SystemExit",
            "KeyboardInterrupt",
            "Popen",
            "CalledProcessError",
            "exit",
            "Retry",
            "__class__",
            "StopIteration",
        ]
    ),
    st.lists(wv.plain_values, max_size=3),
)
def test_rebuilding_gives_an_exception_that_stops_nothing(module: str, name: str, args: list) -> None:
    made = rebuild(ErrorInfo(type=name, module=module, args=tuple(args)))

    assert isinstance(made, Exception) and not isinstance(made, StopIteration)
