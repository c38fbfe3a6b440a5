import pytest
from pamqp import body, commands, header, heartbeat
from tests.unit.links.amqp.peer import method, sent

from leveret.errors import MessageTooLarge
from leveret.links.amqp.protocol import frames
from leveret.links.amqp.protocol.properties import Properties, write_properties

PROPERTIES = write_properties(Properties(content_type="application/json", headers={"id": "1"}))


@pytest.mark.parametrize("channel", [1, 65_535])
@pytest.mark.parametrize("tag", [1, (1 << 63) - 1])
@pytest.mark.parametrize("multiple", [False, True])
def test_acknowledgements_are_pamqps(channel: int, tag: int, multiple: bool) -> None:
    assert frames.ack(channel, tag, multiple) == method(commands.Basic.Ack(tag, multiple), channel)
    assert frames.nack(channel, tag, multiple) == method(commands.Basic.Nack(tag, multiple, True), channel)


@pytest.mark.parametrize("mandatory", [False, True])
@pytest.mark.parametrize("exchange", ["", "photos"])
@pytest.mark.parametrize("key", ["", "photos.großes", "k" * 255])
def test_publishing_is_pamqps(exchange: str, key: str, mandatory: bool) -> None:
    theirs = method(commands.Basic.Publish(0, exchange, key, mandatory), 3)

    assert frames.publish_method(3, exchange, key, mandatory) == theirs


def test_one_destination_is_written_once() -> None:
    assert frames.publish_method(1, "e", "k", True) is frames.publish_method(1, "e", "k", True)


def test_heartbeat_and_greeting_are_pamqps() -> None:
    assert method(heartbeat.Heartbeat()) == frames.HEARTBEAT_FRAME
    assert header.ProtocolHeader().marshal() == frames.PROTOCOL_HEADER


@pytest.mark.parametrize("size", [0, 1, 4087, 4088, 4089, 8176, 8177, 20_000])
def test_a_body_is_split_at_what_a_frame_holds(size: int) -> None:
    data = bytes(i % 251 for i in range(size))

    found = sent(frames.content(2, PROPERTIES, data, 4096))

    (channel, head), parts = found[0], [one for _, one in found[1:]]
    assert channel == 2 and isinstance(head, header.ContentHeader)
    assert (head.class_id, head.body_size, head.properties.headers) == (60, size, {"id": "1"})
    assert all(isinstance(one, body.ContentBody) and 0 < len(one.value) <= 4088 for one in parts)
    assert b"".join(one.value for one in parts) == data
    assert len(parts) == -(-size // 4088)


def test_a_message_in_one_piece_is_pamqps() -> None:
    head = header.ContentHeader(0, 5, commands.Basic.Properties(content_type="application/json", headers={"id": "1"}))
    head.properties.delivery_mode = 2

    assert frames.content(2, PROPERTIES, b"hello", 4096) == method(head, 2) + method(body.ContentBody(b"hello"), 2)


def test_headers_beyond_a_frame_are_refused_here_and_not_by_the_broker() -> None:
    assert frames.content(1, bytes(4076), b"", 4096)
    with pytest.raises(MessageTooLarge, match="4089 bytes.*holds 4088"):
        frames.content(1, bytes(4077), b"", 4096)
