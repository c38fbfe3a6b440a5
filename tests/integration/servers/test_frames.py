"""Frames are the same however the stream is cut into pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header, heartbeat
from tests.servers.wire.frames import METHODS, FrameSplitter, NotAmqp

STREAM = [
    b"AMQP\x00\x00\x09\x01",
    frame.marshal(commands.Queue.Declare(queue="tasks", durable=True, arguments={"x-queue-type": "quorum"}), 1),
    frame.marshal(commands.Basic.Publish(routing_key="tasks"), 1),
    frame.marshal(header.ContentHeader(0, 5, commands.Basic.Properties(delivery_mode=2)), 1),
    frame.marshal(body.ContentBody(b"\xce\xce\xce\xce\xce"), 1),
    frame.marshal(heartbeat.Heartbeat(), 0),
]


@given(cuts=st.lists(st.integers(0, sum(map(len, STREAM)))))
def test_frames_do_not_depend_on_the_pieces(cuts: list[int]) -> None:
    stream, splitter = b"".join(STREAM), FrameSplitter()
    edges = [0, *sorted(cuts), len(stream)]

    frames = [found for start, end in zip(edges, edges[1:], strict=False) for found in splitter.feed(stream[start:end])]

    assert [found.raw for found in frames] == STREAM
    assert [found.method for found in frames[1:3]] == [METHODS["queue.declare"], METHODS["basic.publish"]]
    assert [found.content_size for found in frames[3:5]] == [5, 5]


@pytest.mark.parametrize("stream", [b"HTTP/1.1 400\r\n", STREAM[-1][:-1] + b"\x00"])
def test_what_is_not_amqp_is_said(stream: bytes) -> None:
    with pytest.raises(NotAmqp):
        list(FrameSplitter().feed(stream))
