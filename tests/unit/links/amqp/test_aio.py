"""The asynchronous pump against a peer that is bytes only."""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import pytest
from pamqp import commands
from tests.unit.links.amqp import server as peers
from tests.unit.links.amqp.server import Link, Server, serving
from tests.unit.links.amqp.test_blocking import failover

from leveret.errors import EncodeError, MessageTooLarge, OperationalError, PublishUnknown
from leveret.links.amqp.aio import AsyncConnection, connect
from leveret.links.amqp.letters import Letter
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost
from leveret.links.amqp.protocol.events import Confirmed, Delivered, Returned
from leveret.links.amqp.publisher import Publisher
from leveret.model.topology import Topology

Basic, Channel, Conn, Queue = commands.Basic, commands.Channel, commands.Connection, commands.Queue


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


class Owner:
    """A `ChannelOwner` that remembers."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.news = asyncio.Event()

    def _note(self, what: Any) -> None:
        self.heard.append(what)
        self.news.set()

    def delivered(self, message: Delivered) -> None:
        self._note(message.body)

    def confirmed(self, confirm: Confirmed) -> None:
        self._note(confirm.tag)

    def returned(self, message: Returned) -> None:
        self._note(message.text)

    def cancelled(self, consumer: str) -> None:
        self._note(consumer)

    def lost(self, error: Exception) -> None:
        self._note(error)

    async def hears(self, times: int) -> list[Any]:
        async with asyncio.timeout(5):
            while len(self.heard) < times:
                self.news.clear()
                await self.news.wait()
        return self.heard


async def opened(server: Server) -> AsyncConnection:
    return await connect(failover(server.url), 5)


def test_each_channel_hears_its_own(server: Server) -> None:
    async def scenario() -> None:
        connection = await opened(server)
        one, two = Owner(), Owner()
        first, second = await connection.channel(one), await connection.channel(two)
        link = server.links[0]

        link.deliver(first, b"a")
        link.deliver(second, b"b")
        link.say(Basic.Ack(7), first)
        link.say(Basic.Cancel("c"), second)
        link.deliver(9, b"nobody's")
        link.say(Channel.Close(406, "PRECONDITION_FAILED", 0, 0), second)

        assert await one.hears(2) == [b"a", 7]
        heard = await two.hears(3)
        assert heard[:2] == [b"b", "c"]
        assert isinstance(heard[2], ChannelClosed) and heard[2].code == 406
        await connection.close()
        assert link.heard[-1] == "Connection.Close"

    asyncio.run(scenario())


def test_a_call_that_was_given_up_does_not_take_the_next_ones_answer(server: Server) -> None:
    asked: list[int] = []

    def answer_both_at_the_second(link: Link, channel: int, found: Any) -> None:
        asked.append(channel)
        if len(asked) == 2:
            link.say(Queue.DeclareOk("", 1, 0), channel)
            link.say(Queue.DeclareOk("", 2, 0), channel)

    server.on_method[Queue.Declare] = answer_both_at_the_second

    async def scenario() -> None:
        connection = await opened(server)
        channel = await connection.channel(Owner())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.call(channel, Queue.Declare(queue="q")), 0.05)

        assert (await connection.call(channel, Queue.Declare(queue="q"))).message_count == 2
        await connection.close()

    asyncio.run(scenario())


def test_what_amqp_cannot_say_leaves_no_answer_waiting(server: Server) -> None:
    async def scenario() -> None:
        connection = await opened(server)
        channel = await connection.channel(Owner())
        for ask in (connection.call, connection.post):
            with pytest.raises(EncodeError):
                result = ask(channel, Queue.Declare(queue="q", arguments={"x": {1}}))
                await result  # type: ignore[misc]

        assert isinstance(await connection.call(channel, Queue.Declare(queue="q")), Queue.DeclareOk)
        await connection.close()

    asyncio.run(scenario())


def test_everybody_who_waits_hears_of_the_end(server: Server) -> None:
    server.on_method[Queue.Declare] = lambda link, channel, found: link.say(Conn.Close(320, "CONNECTION_FORCED", 0, 0))

    async def scenario() -> None:
        connection = await opened(server)
        owner = Owner()
        channel = await connection.channel(owner)

        with pytest.raises(ConnectionLost, match="320 CONNECTION_FORCED"):
            await connection.call(channel, Queue.Declare(queue="q"))

        (error,) = await owner.hears(1)
        assert isinstance(error, ConnectionLost) and error.code == 320
        with pytest.raises(ConnectionLost):
            await connection.call(channel, Queue.Declare(queue="q"))

    asyncio.run(scenario())


@pytest.mark.parametrize("mood", [peers.silent, peers.deaf])
def test_who_never_answers_is_given_up(server: Server, mood: Any) -> None:
    server.on_link = mood

    with pytest.raises(OperationalError, match="cannot connect to amqp://guest@127"):
        asyncio.run(connect(failover(server.url), 0.1))


def test_rubbish_ends_it_with_the_reason(server: Server) -> None:
    server.on_link = lambda link: link.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n")

    with pytest.raises(OperationalError, match="is TLS needed on it"):
        asyncio.run(connect(failover(server.url), 5))


@pytest.mark.skipif(not hasattr(os, "dup"), reason="needs descriptors")
def test_an_end_on_purpose_is_an_end_even_where_somebody_holds_a_duplicate(server: Server) -> None:
    async def scenario() -> None:
        connection = await opened(server)
        duplicate = os.dup(connection.socket().fileno())
        try:
            connection.abort()

            assert await asyncio.to_thread(server.links[0].gone.wait, 5)
        finally:
            os.close(duplicate)

    asyncio.run(scenario())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_lets_go_and_keeps_the_number_taken(server: Server) -> None:
    async def scenario() -> int:
        connection = await opened(server)
        number = connection.socket().fileno()
        child = os.fork()
        if child == 0:
            connection.disown()
            mine = os.open(os.devnull, os.O_RDONLY)
            os._exit(0 if mine != number and os.readlink(f"/dev/fd/{number}") == os.devnull else 1)
        code = os.waitstatus_to_exitcode((await asyncio.to_thread(os.waitpid, child, 0))[1])
        # And the parent's goes on.
        await connection.channel(Owner())
        await connection.close()
        return code

    assert asyncio.run(scenario()) == 0


# Publishing


def letter(body: str = "x", properties: bytes = b"\0\0") -> Letter:
    return Letter("", "q", properties, body.encode(), True, "q")


def test_many_publish_at_once_on_one_connection(server: Server) -> None:
    async def scenario() -> None:
        publisher = Publisher(failover(server.url), Topology(), 5)
        await asyncio.gather(*(publisher.publish([letter(str(number))]) for number in range(50)))
        await publisher.close()

    asyncio.run(scenario())

    assert sorted(int(one.data) for one in server.published) == list(range(50))
    assert len(server.links) == 1


def test_what_is_too_large_is_not_counted(server: Server) -> None:
    async def scenario() -> None:
        publisher = Publisher(failover(server.url), Topology(), 5)
        with pytest.raises(MessageTooLarge):
            await publisher.publish([letter("a"), letter("b", bytes(140_000))])
        async with asyncio.timeout(5):
            await publisher.publish([letter("c")])
        await publisher.close()

    asyncio.run(scenario())

    assert [one.data for one in server.published] == [b"c"]


def test_a_break_leaves_it_unknown_and_the_next_goes_on_a_new_connection(server: Server) -> None:
    def hang_up(link: Link, found: peers.Published) -> None:
        raise peers.Gone

    async def scenario() -> None:
        publisher = Publisher(failover(server.url), Topology(), 5)
        server.on_publish = hang_up
        with pytest.raises(PublishUnknown):
            await publisher.publish([letter("a")])
        server.on_publish = peers.confirm
        await publisher.publish([letter("b")])
        await publisher.close()

    asyncio.run(scenario())

    assert [one.data for one in server.published] == [b"a", b"b"]
    assert len(server.links) == 2
