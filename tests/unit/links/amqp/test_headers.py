from typing import Any

import pytest
from pamqp import decode

from leveret.errors import EncodeError
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.headers import read_headers, write_headers
from leveret.links.amqp.protocol.tables import read_table, write_table

ID = "0190d6c2-5f1a-7c3b-9d2e-0123456789ab"
TABLES: list[dict[str, Any]] = [
    {"task": "a.b", "id": ID},
    {"task": "größe", "id": ID},
    {"task": "", "id": ID},
    {"task": "t" * 400, "id": ID},
    {"id": ID, "task": "a.b"},
    {"task": "a.b", "id": "short"},
    {"task": "a.b", "id": "é" * 18},
    {"task": "a.b", "id": "é" * 36},
    {"task": "a.b", "id": "\ud800" * 12},
    {"task": 5, "id": ID},
    {"task": "a.b", "id": 7},
    {"task": "a.b", "root_id": ID},
    {"task": "a.b", "id": ID, "retries": 1},
    {"root_id": ID, "id": ID},
    {"task": ["a.b"], "id": ID},
    {"id": ID},
    {},
]


@pytest.mark.parametrize("table", TABLES, ids=repr)
def test_what_is_remembered_is_what_would_be_written_and_read(table: dict[str, Any]) -> None:
    for _ in range(2):
        data = write_headers(table)

        assert read_table(data, 0) == read_headers(data, 0) == (table, len(data))
        assert read_headers(b"xx" + data + b"yy", 2) == (table, len(data) + 2)
    if table.get("id") != "\ud800" * 12:
        assert decode.field_table(data)[1] == table


def test_a_table_in_the_order_of_others_is_read_too() -> None:
    data = write_table({"id": ID, "task": "a.b"})

    assert list(read_headers(data, 0)[0]) == ["id", "task"]


def test_an_id_that_is_no_text_stays_bytes() -> None:
    data = write_headers({"task": "a.b", "id": ID})[:-1] + b"\xff"

    assert read_headers(data, 0) == read_table(data, 0)
    assert read_headers(data, 0)[0]["id"] == ID[:-1].encode() + b"\xff"


def test_a_task_that_is_no_text_stays_bytes() -> None:
    data = write_headers({"task": "a.b", "id": ID}).replace(b"a.b", b"\xff.b")

    assert read_headers(data, 0) == read_table(data, 0)


def test_what_is_damaged_is_never_taken_for_what_is_remembered() -> None:
    good = write_headers({"task": "a.b", "id": ID})
    assert read_headers(good, 0)[0] == {"task": "a.b", "id": ID}

    for at in range(len(good)):
        for change in (1, 0x7F, 0x80):
            data = good[:at] + bytes([good[at] ^ change]) + good[at + 1 :]
            try:
                expected = read_table(data, 0)
            except ProtocolError:
                with pytest.raises(ProtocolError):
                    read_headers(data, 0)
            else:
                assert read_headers(data, 0) == expected
    for length in range(4, len(good)):
        with pytest.raises(ProtocolError):
            read_headers(good[:length], 0)


def test_a_name_amqp_cannot_say_is_named() -> None:
    with pytest.raises(EncodeError, match=r"headers\.id: AMQP has no type for set"):
        write_headers({"task": "a.b", "id": {1}})
