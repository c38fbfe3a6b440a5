import decimal
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from amqp import serialization
from pamqp import decode, encode

from leveret.errors import EncodeError
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.tables import MOST_LEVELS, read_table, write_table


def table(item: bytes, name: bytes = b"k") -> bytes:
    payload = bytes([len(name)]) + name + item
    return struct.pack(">I", len(payload)) + payload


def of_py_amqp(data: bytes) -> dict:
    return serialization.loads("F", data, 0)[0][0]


def nested(levels: int, kind: str) -> object:
    value: object = "leaf"
    for _ in range(levels):
        value = {"in": value} if kind == "table" else [value]
    return value


@pytest.fixture
def in_india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


LETTERS = [
    (b"t\x01", True),
    (b"t\x00", False),
    (b"b\xff", -1),
    (b"B\xff", 255),
    (b"s\xff\xfe", -2),
    (b"u\xff\xfe", 65_534),
    (b"I\xff\xff\xff\xfe", -2),
    (b"i\xff\xff\xff\xfe", 4_294_967_294),
    (b"l\xff\xff\xff\xff\xff\xff\xff\xfe", -2),
    (b"L\x7f\xff\xff\xff\xff\xff\xff\xff", (1 << 63) - 1),
    (b"f" + struct.pack(">f", 0.5), 0.5),
    (b"d" + struct.pack(">d", 0.1), 0.1),
    (b"D\x02" + struct.pack(">i", -314), Decimal("-3.14")),
    (b"S\0\0\0\x03\xe2\x82\xac", "€"),
    (b"S\0\0\0\x02\xff\xfe", b"\xff\xfe"),
    (b"x\0\0\0\x02ab", b"ab"),
    (b"T" + struct.pack(">Q", 1_700_000_000), datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    (b"V", None),
    (b"A\0\0\0\x04t\x01b\x05", [True, 5]),
    (b"F\0\0\0\x04\x01ab\x07", {"a": 7}),
]


@pytest.mark.parametrize(("item", "value"), LETTERS, ids=lambda part: repr(part)[:20])
def test_every_type_letter_is_read_as_pamqp_and_py_amqp_read_it(item: bytes, value: object) -> None:
    data = table(item)

    found, end = read_table(data, 0)

    assert (found, end) == ({"k": value}, len(data))
    assert type(found["k"]) is type(value)
    assert decode.field_table(data)[1] == found
    theirs = of_py_amqp(data)["k"]
    assert (theirs.replace(tzinfo=UTC) if isinstance(theirs, datetime) else theirs) == value


def test_the_letter_that_only_py_amqp_knows_is_read_too() -> None:
    data = table(b"U\xff\xfe")

    assert read_table(data, 0)[0] == of_py_amqp(data) == {"k": -2}


@pytest.mark.parametrize(
    "value",
    [True, False, None, 0, -1, 1 << 40, -(1 << 63), (1 << 63) - 1, 0.1, float("-inf"), "", "€", b"", b"\xff", []]
    + [{}, [1, "a", None, [2.5], {"b": True}], {"a": {"b": [1]}}, Decimal("-3.14"), Decimal(7), Decimal("2E+3")]
    + [datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)],
    ids=repr,
)  # fmt: skip
def test_what_is_written_is_read_by_both_others_and_by_us(value: object) -> None:
    data = write_table({"k": value})

    assert read_table(data, 0)[0] == {"k": value}
    assert decode.field_table(data)[1] == {"k": value}
    theirs = of_py_amqp(data)["k"]
    assert (theirs.replace(tzinfo=UTC) if isinstance(theirs, datetime) else theirs) == value


@pytest.mark.parametrize(
    "value", [True, 5, -70_000, 1 << 40, 0.5, "€", None, [1, [2]], {"a": {"b": 1}}, Decimal("1.5")]
)
def test_what_the_others_write_is_read(value: object) -> None:
    by_pamqp = encode.field_table({"k": value})
    by_py_amqp = serialization.dumps("F", [{"k": value}])

    assert read_table(by_pamqp, 0) == ({"k": value}, len(by_pamqp))
    assert read_table(by_py_amqp, 0) == ({"k": value}, len(by_py_amqp))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2023, 11, 14, 22, 13, 20),
        datetime(2023, 11, 15, 0, 13, 20, tzinfo=timezone(timedelta(hours=2))),
        datetime(2023, 11, 14, 22, 13, 20, 999_999, tzinfo=UTC),
    ],
    ids=str,
)
def test_a_moment_is_written_in_utc_and_whole_seconds_wherever_we_are(in_india: None, moment: datetime) -> None:
    data = write_table({"k": moment})

    assert data == table(b"T" + struct.pack(">Q", 1_700_000_000))
    assert data == serialization.dumps("F", [{"k": moment}])


def test_a_moment_before_1970_comes_back() -> None:
    moment = datetime(1969, 12, 31, 23, 59, 58, tzinfo=UTC)

    assert read_table(write_table({"k": moment}), 0)[0] == {"k": moment}


def test_a_moment_beyond_the_calendar_stays_a_number_and_can_be_written_again() -> None:
    for seconds in (1 << 62, (1 << 64) - (1 << 62)):
        found = read_table(table(b"T" + struct.pack(">Q", seconds)), 0)[0]

        assert type(found["k"]) is int
        assert read_table(write_table(found), 0)[0] == found


def test_a_decimal_is_exact_whatever_the_threads_decimal_context() -> None:
    with decimal.localcontext(decimal.Context(prec=3, Emin=-5, Emax=5)):
        found = read_table(table(b"D\xff" + struct.pack(">i", -2_147_483_648)), 0)[0]["k"]

    assert found.as_tuple() == (1, (2, 1, 4, 7, 4, 8, 3, 6, 4, 8), -255)
    assert write_table({"k": found}) == table(b"D\xff" + struct.pack(">i", -2_147_483_648))


def test_lone_surrogates_travel_in_names_and_values_as_in_py_amqp() -> None:
    value = {"\ud800": "a\udfff", "n": {"\udc00": ["\ud800"]}}

    data = write_table(value)

    assert data == serialization.dumps("F", [value])
    assert read_table(data, 0)[0] == value


def test_subclasses_are_written_as_what_they_are_and_names_of_inner_tables_as_text() -> None:
    class Number(int): ...

    class Word(str): ...

    assert read_table(write_table({"a": Number(3), "b": Word("w"), "c": (1, {2: 3})}), 0)[0] == {
        "a": 3,
        "b": "w",
        "c": [1, {"2": 3}],
    }


@pytest.mark.parametrize("kind", ["table", "array"])
def test_as_many_levels_as_are_written_are_read(kind: str) -> None:
    deepest = {"k": nested(MOST_LEVELS, kind)}

    assert read_table(write_table(deepest), 0)[0] == deepest
    with pytest.raises(EncodeError, match="more than 64 levels"):
        write_table({"k": nested(MOST_LEVELS + 1, kind)})


@pytest.mark.parametrize(("kind", "letter"), [("table", b"\x02inF"), ("array", b"A")])
def test_more_levels_are_refused_before_the_stack_ends(kind: str, letter: bytes) -> None:
    item = b"V"
    for _ in range(20_000):
        item = letter[-1:] + struct.pack(">I", len(item) + len(letter) - 1) + letter[:-1] + item

    with pytest.raises(ProtocolError, match="more than 64 levels"):
        read_table(table(item), 0)


def test_a_value_that_holds_itself_is_refused() -> None:
    ring: list[object] = []
    ring.append(ring)

    with pytest.raises(EncodeError, match="more than 64 levels"):
        write_table({"k": ring})


@pytest.mark.parametrize(
    ("value", "complaint", "path"),
    [
        ({"k": {1, 2}}, "headers.k: AMQP has no type for set", "headers.k"),
        ({"k": [1, object()]}, "headers.k[1]: AMQP has no type for object", "headers.k[1]"),
        ({"k": {"a": {"b": 1 << 63}}}, "headers.k.a.b: AMQP has no integers beyond 64 bits", "headers.k.a.b"),
        ({"k": Decimal(1 << 31)}, "headers.k: AMQP has no decimals of more than 32 bits", "headers.k"),
        ({"k": Decimal("1E-256")}, "headers.k: AMQP has no decimals", "headers.k"),
        ({"k": Decimal("1E+999999")}, "headers.k: AMQP has no decimals", "headers.k"),
        ({"k": Decimal("NaN")}, "headers.k: AMQP has no decimals", "headers.k"),
        ({"k" * 256: 1}, "headers.k.*at most 255 bytes", "headers." + "k" * 256),
    ],
)
def test_what_amqp_cannot_say_is_named(value: dict, complaint: str, path: str) -> None:
    with pytest.raises(EncodeError, match=complaint.replace("[", "\\[")) as caught:
        write_table(value)

    assert caught.value.path == path


def test_every_truncation_is_a_protocol_error() -> None:
    data = write_table({"a": "text", "b": [1, {"c": None}], "d": b"raw", "e": 1.5, "f": Decimal(1)})

    for length in range(len(data)):
        with pytest.raises(ProtocolError):
            read_table(data[:length], 0)


@pytest.mark.parametrize(
    "data",
    [
        table(b"?"),
        table(b"\x00"),
        table(b"S\xff\xff\xff\xff"),
        table(b"x\0\0\0\x05abcd"),
        table(b"A\0\0\0\x05t\x01"),
        table(b"A\0\0\0\x01t\x01"),  # the array's item runs over the array's end
        table(b"F\0\0\0\x03\x01at\x01"),
        table(b"S\0\0\0\x01ab"),
        struct.pack(">I", 4) + b"\x01kS\0\0\0\0",  # the string's size stands behind the table's end
        table(b"V", b"\xff\xfe"),
    ],
    ids=repr,
)
def test_what_does_not_add_up_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_table(data, 0)
