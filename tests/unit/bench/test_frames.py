"""The message that the broker's limit is measured with is the one a client sends."""

import struct
from pathlib import Path

from bench.raw import frames

from leveret.model.delivery import Encoded

MESSAGE = Encoded(
    {"task": "tasks.add", "id": "an-id", "retries": 0, "eta": None, "stamps": {"a": [1, True]}}, b"[[1],{},{}]"
)


def frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, 1, len(payload)) + payload + b"\xce"


def stream(content: frames.Content, *, mandatory: bool, queue_type: bytes = b"") -> bytes:
    table = b"\x0cx-queue-typeS" + struct.pack(">I", len(queue_type)) + queue_type if queue_type else b""
    declare = struct.pack(">HHH", 50, 10, 0) + b"\x01q\x02" + struct.pack(">I", len(table)) + table
    publish = struct.pack(">HHH", 60, 40, 0) + b"\x00\x01q" + bytes([mandatory])
    half = len(content.body) // 2
    bodies = frame(frames.BODY, content.body[:half]) + frame(frames.BODY, content.body[half:])
    parts = (frame(frames.METHOD, declare), frame(frames.METHOD, publish), frame(frames.HEADER, content.header), bodies)
    return b"AMQP\x00\x00\x09\x01" + b"".join(parts)


def test_what_a_client_sent_is_read_off_its_stream() -> None:
    content = frames.content(MESSAGE)

    found = frames.sent(stream(content, mandatory=True, queue_type=b"quorum"), "tasks.add")

    assert found == frames.Sent((content,), mandatory=True, queue_type="quorum")


def test_a_queue_without_a_type_is_classic_and_other_tasks_are_left_out() -> None:
    found = frames.sent(stream(frames.content(MESSAGE), mandatory=False), "tasks.other")

    assert found == frames.Sent((), mandatory=False, queue_type="classic")


def test_a_frame_that_is_cut_off_ends_the_stream() -> None:
    whole = stream(frames.content(MESSAGE), mandatory=False)

    assert frames.sent(whole[:-1], "tasks.add").contents == ()


def test_a_header_has_the_size_of_the_body_and_a_table_of_its_own_length() -> None:
    header = frames.content(MESSAGE).header
    properties = header[14:]
    at = len(b"\x10application/json\x05utf-8")
    size = struct.unpack_from(">I", properties, at)[0]

    assert struct.unpack_from(">HHQ", header) == (60, 0, len(MESSAGE.body))
    assert properties[at + 4 + size :] == b"\x02\x05an-id"


def test_the_file_is_lengths_and_payloads_in_turn(tmp_path: Path) -> None:
    path = frames.write([frames.Content(b"head", b"body!")], tmp_path / "messages")

    assert path.read_bytes() == b"\0\0\0\x04head\0\0\0\x05body!"
