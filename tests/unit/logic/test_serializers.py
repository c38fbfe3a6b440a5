import json
import sys
import types
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from uuid import UUID

import pytest
from kombu.utils import json as kombu_json

from leveret.errors import DecodeError, EncodeError, ImproperlyConfigured
from leveret.logic.serializers import JSON, MSGPACK, PICKLE, YAML, Serializers, builtin_serializers


@dataclass
class Point:
    x: int
    y: object = None

    def __post_init__(self) -> None:
        if self.x < 0:
            raise AssertionError("data must not run a class's code")


class Colour(Enum):
    RED = 1

    @classmethod
    def _missing_(cls, value: object) -> "Colour":
        raise AssertionError("data must not run a class's code")


class Level(IntEnum):
    HIGH = 9


CELERY_KINDS = [
    b"text",
    b"\xff\x00",
    datetime(2026, 1, 2, 3, 4, 5, 6, UTC),
    datetime(2026, 1, 2),
    date(2026, 1, 2),
    time(1, 2, 3),
    Decimal("1.50"),
    UUID("12345678123456781234567812345678"),
]
OUR_KINDS = [timedelta(-1, 2, 3), {1, 2}, frozenset({"a"}), Point(1, [b"x"]), Colour.RED, Level.HIGH, {(1, 2)}]


@pytest.mark.parametrize("value", CELERY_KINDS, ids=repr)
def test_celerys_kinds_are_written_with_celerys_own_tags(value: object) -> None:
    assert kombu_json.loads(JSON.dumps([value])) == [value]
    assert JSON.loads(kombu_json.dumps([value]).encode()) == [value]
    assert json.loads(JSON.dumps(value)) == json.loads(kombu_json.dumps(value))


@pytest.mark.parametrize("value", [*CELERY_KINDS, *OUR_KINDS], ids=repr)
@pytest.mark.parametrize("serializer", [JSON, MSGPACK, YAML, PICKLE], ids=lambda s: s.name)
def test_every_serializer_gives_back_every_kind(serializer, value) -> None:
    back = serializer.loads(serializer.dumps({"key": [value]}))["key"][0]

    assert (type(back), back) == (type(value), value)


@pytest.mark.parametrize("value", OUR_KINDS, ids=repr)
def test_kombu_reads_our_kinds_as_plain_data(value: object) -> None:
    assert isinstance(kombu_json.loads(JSON.dumps([value]))[0], dict)


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "datetime", "__value__": "2026-01-01"},
        {"__type__": "unheard of", "__value__": 1},
        {"__type__": "x"},
        {"__leveret__": "set", "__value__": [1]},
        {"__leveret__": 1, "more": b"x"},
        {"deep": [{"__type__": "uuid", "__value__": {"__type__": "x", "__value__": None}}]},
    ],
    ids=repr,
)
@pytest.mark.parametrize("serializer", [JSON, MSGPACK, YAML], ids=lambda s: s.name)
def test_a_dict_that_looks_like_a_tag_comes_back_as_sent(serializer, value) -> None:
    assert serializer.loads(serializer.dumps(value)) == value


def test_kombu_can_read_a_body_that_holds_a_dict_of_its_own_tags_shape() -> None:
    assert kombu_json.loads(JSON.dumps([{"__type__": "unheard of", "__value__": 1}, 2]))[1] == 2


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "1e999", '"\\ud800"', "[" + "9" * 400 + "]", '"\\ud83d\\ude00"'])
def test_what_only_pythons_json_reads_is_read(text: str) -> None:
    assert repr(JSON.loads(text.encode())) == repr(json.loads(text))


@pytest.mark.parametrize("value", [float("inf"), "\ud800", 10**300, {1: 2}, {None: 1, True: 2, 1.5: 3, Level.HIGH: 4}])
def test_what_python_writes_is_written_the_same(value: object) -> None:
    assert json.loads(JSON.dumps(value)) == json.loads(json.dumps(value))


def test_subclasses_travel_as_what_they_extend() -> None:
    class Names(list):
        pass

    class Table(dict):
        pass

    class Word(str):
        pass

    assert JSON.loads(JSON.dumps((Names([1]), Table(a=Word("b")), bytearray(b"x")))) == [[1], {"a": "b"}, b"x"]


def test_an_object_says_itself_how_it_is_written() -> None:
    class Money:
        def __json__(self) -> object:
            return {"amount": Decimal(3)}

    assert JSON.loads(JSON.dumps([Money()])) == [{"amount": Decimal(3)}]


def test_a_dataclass_is_rebuilt_only_where_its_class_is_loaded_and_is_that_dataclass(monkeypatch) -> None:
    elsewhere = types.ModuleType("elsewhere")

    @dataclass
    class Order:
        number: int

    Order.__module__, Order.__qualname__ = "elsewhere", "Order"
    elsewhere.Order = Order
    data = JSON.dumps(Order(7))

    assert JSON.loads(data) == {"number": 7}
    monkeypatch.setitem(sys.modules, "elsewhere", elsewhere)
    assert JSON.loads(data) == Order(7)
    elsewhere.Order = dict
    assert JSON.loads(data) == {"number": 7}


def test_a_scripts_dataclass_is_found_where_the_script_is_imported_by_its_name(monkeypatch) -> None:
    script = types.ModuleType("__main__")
    script.__spec__, script.__file__ = None, "/somewhere/orders.py"

    @dataclass
    class Order:
        number: int

    Order.__module__, Order.__qualname__ = "__main__", "Order"
    script.Order = Order
    monkeypatch.setitem(sys.modules, "__main__", script)
    data = JSON.dumps(Order(7))

    assert b'"orders","Order"' in data
    assert JSON.loads(data) == Order(7)
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    imported = types.ModuleType("orders")
    imported.Order = dataclass(type("Order", (), {"__annotations__": {"number": int}, "__module__": "orders"}))
    monkeypatch.setitem(sys.modules, "orders", imported)
    assert JSON.loads(data) == imported.Order(7)


def test_rebuilding_calls_nothing_of_the_class() -> None:
    hostile = JSON.dumps(Point(1)).replace(b'"x":1', b'"x":-1')

    assert JSON.loads(hostile).x == -1
    assert JSON.loads(JSON.dumps(Colour.RED).replace(b"1]", b"2]")) == 2


def test_a_dataclass_with_other_fields_stays_plain() -> None:
    assert JSON.loads(JSON.dumps(Point(1)).replace(b'"x"', b'"z"')) == {"z": 1, "y": None}


def test_an_enum_whose_class_is_not_loaded_is_its_value() -> None:
    assert JSON.loads(b'{"__leveret__":"enum","__value__":["nowhere","Colour",3]}') == 3
    assert JSON.loads(b'{"__leveret__":"enum","__value__":["os","system","echo"]}') == "echo"


@pytest.mark.parametrize(
    "text",
    [
        '{"__type__":"datetime","__value__":"tomorrow"}',
        '{"__type__":"uuid","__value__":{"hex":5}}',
        '{"__type__":"decimal","__value__":"x"}',
        '{"__type__":["bytes"],"__value__":"x"}',
        '{"__leveret__":"set","__value__":[{}]}',
        '{"__leveret__":"timedelta","__value__":[1e999]}',
        '{"__leveret__":"dataclass","__value__":5}',
    ],
)
def test_a_tag_that_makes_no_sense_stays_the_dict_it_is(text: str) -> None:
    assert JSON.loads(text.encode()) == json.loads(text)


@pytest.mark.parametrize("serializer", [JSON, MSGPACK, YAML, PICKLE], ids=lambda s: s.name)
def test_the_error_names_the_path_and_the_type(serializer) -> None:
    if serializer is PICKLE:
        culprit: object = lambda: None  # noqa: E731
    else:
        culprit = object()

    with pytest.raises(EncodeError) as caught:
        serializer.dumps([1, {"user": {"name of it": culprit}}])

    assert caught.value.path == "[1].user['name of it']"
    assert type(culprit).__name__ in str(caught.value)


def test_the_path_leads_through_dataclasses_sets_and_keys() -> None:
    for value, path in [(Point(1, object()), ".y"), ({"a": {object()}}, ".a{}"), ({"a": {(1,): 2}}, ".a[(1,)]")]:
        with pytest.raises(EncodeError) as caught:
            JSON.dumps(value)
        assert caught.value.path == path


@pytest.mark.parametrize("serializer", [JSON, MSGPACK, YAML], ids=lambda s: s.name)
def test_what_refers_to_itself_or_is_too_deep_is_refused_at_the_call(serializer) -> None:
    endless: list = []
    endless.append(endless)
    deep: object = 1
    for _ in range(65):
        deep = [deep]

    with pytest.raises(EncodeError, match=r"nested|refers"):
        serializer.dumps(endless)
    with pytest.raises(EncodeError, match="64"):
        serializer.dumps(deep)
    assert serializer.loads(serializer.dumps(deep[0])) == deep[0]


@pytest.mark.parametrize("serializer", [JSON, MSGPACK, YAML, PICKLE], ids=lambda s: s.name)
@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe", b"[1,", b"{]", b"[" * 100_000, b"\x91" * 100_000, b'{"a":' * 500],
    ids=lambda data: f"{data[:5]!r} to {len(data)} bytes",
)
def test_what_cannot_be_read_is_a_decode_error(serializer, data: bytes) -> None:
    try:
        serializer.loads(data)
    except DecodeError:
        return
    assert serializer is not JSON


@pytest.mark.parametrize(
    ("serializer", "opening", "closing"), [(JSON, b"[", b"]"), (MSGPACK, b"\x91", b""), (YAML, b"[", b"]")]
)
def test_what_is_nested_too_deep_is_not_read(serializer, opening: bytes, closing: bytes) -> None:
    one = b"\x01" if serializer is MSGPACK else b"1"

    assert serializer.loads(opening * 64 + one + closing * 64)
    with pytest.raises(DecodeError, match="64"):
        serializer.loads(opening * 65 + one + closing * 65)


@pytest.mark.parametrize("opening", [b'["]",', b'["\\"]",', b'["\\\\","]","",', b'{"}":'])
def test_brackets_in_strings_do_not_hide_how_deep_json_nests(opening: bytes) -> None:
    closing = b"}" if opening.startswith(b"{") else b"]"

    assert JSON.loads(opening * 64 + b"1" + closing * 64)
    with pytest.raises(DecodeError, match="64"):
        JSON.loads(opening * 65 + b"1" + closing * 65)


def test_a_yaml_bomb_is_refused_quickly() -> None:
    bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )

    with pytest.raises(DecodeError, match="items"):
        YAML.loads(bomb.encode())


def test_yaml_makes_no_objects() -> None:
    with pytest.raises(DecodeError):
        YAML.loads(b"!!python/object/apply:os.system ['true']")


def test_serializers_are_found_by_name_and_content_type() -> None:
    known = Serializers(builtin_serializers())

    assert known.named("json") is known.named("application/json") is JSON
    assert known.for_content_type("application/x-msgpack") is MSGPACK
    assert known.for_content_type("text/plain") is None
    assert known.content_types({"json", "application/x-yaml"}) == {"application/json", "application/x-yaml"}
    with pytest.raises(ImproperlyConfigured, match="known are json, msgpack, pickle, yaml"):
        known.named("jsn")
