import struct
from datetime import UTC, datetime
from typing import Any

import pytest
from pamqp import commands, header

from leveret.errors import EncodeError
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.properties import (
    TRANSIENT,
    Properties,
    read_properties,
    short_string,
    write_properties,
)

FULL: dict[str, Any] = {
    "content_type": "application/json",
    "content_encoding": "utf-8",
    "headers": {"task": "a.b", "id": "1", "retries": 2, "timelimit": [None, 3.5]},
    "delivery_mode": 2,
    "priority": 7,
    "correlation_id": "1",
    "reply_to": "replies",
    "expiration": "60000",
    "message_id": "m",
}
MORE: dict[str, Any] = {
    "timestamp": datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
    "message_type": "t",
    "user_id": "guest",
    "app_id": "app",
}


def by_pamqp(**fields: Any) -> bytes:
    return commands.Basic.Properties(**fields).marshal()


def read_by_pamqp(data: bytes) -> dict[str, Any]:
    found = header.ContentHeader(0, 0, commands.Basic.Properties())
    found.unmarshal(struct.pack(">HHQ", 60, 0, 0) + data)
    return {name: value for name, value in found.properties if value is not None and value != ""}


ABSENT = [set(), {"priority"}, {"headers"}, {"content_type", "content_encoding"}, {"correlation_id", "reply_to"}]
ABSENT += [{"expiration", "message_id"}, {*FULL} - {"delivery_mode"}]


@pytest.mark.parametrize("absent", ABSENT, ids=lambda names: "-".join(sorted(names)) or "full")
def test_what_is_written_is_what_pamqp_reads(absent: set[str]) -> None:
    fields = {name: value for name, value in FULL.items() if name not in absent}

    data = write_properties(Properties(**fields))

    assert read_by_pamqp(data) == fields
    assert read_properties(data) == Properties(**fields)


@pytest.mark.parametrize("absent", ABSENT, ids=lambda names: "-".join(sorted(names)) or "full")
def test_what_pamqp_writes_is_read(absent: set[str]) -> None:
    fields = {name: value for name, value in FULL.items() if name not in absent}

    assert read_properties(by_pamqp(**fields)) == Properties(**fields)


def test_what_nobody_here_needs_is_read_over() -> None:
    assert read_properties(by_pamqp(**FULL, **MORE)) == Properties(**FULL)


def test_nothing_at_all_is_a_transient_message() -> None:
    assert read_properties(b"\0\0") == Properties(delivery_mode=TRANSIENT)


@pytest.mark.parametrize(("given", "kept"), [(-1, 0), (0, 0), (255, 255), (1000, 255)])
def test_a_priority_fits_its_byte(given: int, kept: int) -> None:
    assert read_properties(write_properties(Properties(priority=given))).priority == kept


def test_a_short_string_has_255_bytes_and_no_more() -> None:
    assert short_string("é" * 127) == b"\xfe" + "é".encode() * 127
    with pytest.raises(EncodeError, match="256 bytes"):
        short_string("é" * 128)
    with pytest.raises(EncodeError, match="is no text"):
        short_string("\ud800")


def test_every_truncation_is_a_protocol_error() -> None:
    data = write_properties(Properties(**FULL))

    for length in range(len(data)):
        with pytest.raises(ProtocolError):
            read_properties(data[:length])


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\xff\xff", b"\0\x01", b"\x80\0\x02\xff\xfe", b"\x80\0\x05abc", b"\x20\0\0\0\0\x05\x01k", b"\x10\0"],
    ids=repr,
)
def test_what_is_no_property_list_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_properties(data)
