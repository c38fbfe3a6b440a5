"""A proxy loses exactly the request, or exactly the reply, of one verb: what is done is done once."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from tests.integration.redis.server import Server
from tests.servers.proxy import Proxy
from tests.servers.wire.rules import Action, Direction

from leveret.brokers.redis.driver import RedisDriver
from leveret.errors import OperationalError, PublishUnknown
from leveret.model.endpoint import Url
from leveret.model.settlement import Committed, Stale
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import ids, posting, retry, seat, success

LOST_REQUEST = (Direction.TO_SERVER, Action.CUT_BEFORE)
LOST_REPLY = (Direction.TO_CLIENT, Action.CUT_BEFORE)
LATE_CUT = (Direction.TO_SERVER, Action.CUT_AFTER)
WAYS = pytest.mark.parametrize("way", [LOST_REQUEST, LOST_REPLY, LATE_CUT], ids=["request", "reply", "behind"])
FACES = pytest.mark.parametrize("face", ["loop", "thread"])


@pytest.fixture
def door(server: Server) -> Iterator[Proxy]:
    with Proxy(server.port, resp=True) as proxy:
        yield proxy


class Factory:
    real_time = True

    def __init__(self, port: int) -> None:
        self.port = port

    def __call__(self, options, clock):
        return RedisDriver(Url(f"redis://127.0.0.1:{self.port}/0"), options, clock)


def through(door: Proxy, case) -> None:
    async def main() -> None:
        rig = Rig(Factory(door.port))
        try:
            await rig.join()
            await case(rig)
        finally:
            await rig.close()

    asyncio.run(main())


async def send(rig: Rig, face: str, *names: str, seconds: float = 5.0) -> None:
    postings = tuple(map(posting, names))
    if face == "loop":
        await rig.broker.publish_within(postings, seconds)
    else:
        await asyncio.to_thread(rig.main.blocking().publish, postings, timeout=seconds)


async def again(step):
    """As a worker does: the same, until it is answered."""
    while True:
        try:
            return await step()
        except OperationalError:
            await asyncio.sleep(0.01)


@WAYS
@FACES
def test_a_send_is_there_once(door: Proxy, face: str, way) -> None:
    async def case(rig: Rig) -> None:
        rule = door.on(way[0], "publish", way[1])

        await send(rig, face, "a", "b")

        assert rule.fired
        assert sorted(ids(await rig.claim())) == ["a", "b"]

    through(door, case)


@WAYS
@FACES
def test_a_lone_send_is_there_once(door: Proxy, face: str, way) -> None:
    """It goes a way of its own where connection and queue are known."""

    async def case(rig: Rig) -> None:
        await send(rig, face, "a")
        rule = door.on(way[0], "publish", way[1])

        await send(rig, face, "b")

        assert rule.fired
        assert sorted(ids(await rig.claim())) == ["a", "b"]

    through(door, case)


@FACES
def test_a_lone_send_that_is_not_answered_is_unknown_at_its_deadline(door: Proxy, face: str) -> None:
    async def case(rig: Rig) -> None:
        await send(rig, face, "a")
        door.on(Direction.TO_SERVER, "publish", Action.BLACKHOLE)
        began = time.monotonic()

        with pytest.raises(PublishUnknown, match="sending the"):
            await send(rig, face, "b", seconds=0.3)

        assert 0.2 < time.monotonic() - began < 1.0
        door.blackhole(False)

    through(door, case)


@WAYS
def test_a_call_that_begins_with_a_chosen_id_is_there_once(door: Proxy, way) -> None:
    """The chosen one stands at the door; the others are known by their call."""

    async def case(rig: Rig) -> None:
        door.on(way[0], "publish", way[1])

        await rig.broker.publish_within((posting("chosen", once=True), posting("a"), posting("b")), 5.0)

        assert ids(await rig.claim()) == ["chosen", "a", "b"]

    through(door, case)


@FACES
def test_a_send_whose_reply_was_lost_and_that_is_then_refused_is_unknown(
    door: Proxy, server: Server, face: str
) -> None:
    async def case(rig: Rig) -> None:
        await send(rig, face, "before")
        rule = door.on(Direction.TO_SERVER, "publish", Action.CUT_AFTER)
        door.refuse()
        sending = asyncio.create_task(send(rig, face, "a"))
        while not rule.fired:  # noqa: ASYNC110 - the proxy tells it on another thread
            await asyncio.sleep(0)
        server.cli("CONFIG", "SET", "maxmemory", "100kb")
        door.refuse(False)

        try:
            with pytest.raises(PublishUnknown, match="OOM"):
                await sending
        finally:
            server.cli("CONFIG", "SET", "maxmemory", "0")

    through(door, case)


@WAYS
def test_a_claim_is_answered_with_the_same_messages(door: Proxy, way) -> None:
    async def case(rig: Rig) -> None:
        await rig.send("a", "b", "c")
        rule = door.on(way[0], "claim", way[1])

        taken = await again(lambda: rig.claim(credit=2, number=1))
        more = await again(lambda: rig.claim(credit=2, number=2))

        assert rule.fired
        assert ids(taken) == ["a", "b"]
        assert ids(more) == ["c"]

    through(door, case)


@WAYS
def test_what_follows_a_task_is_there_once(door: Proxy, way) -> None:
    async def case(rig: Rig) -> None:
        await rig.send("a")
        delivery = await rig.one()
        rule = door.on(way[0], "commit", way[1])

        await again(lambda: rig.commit(delivery, record=success("a"), follow=(posting("b"),)))

        assert rule.fired
        assert (await rig.backend.get(("a",)))[0].terminal
        assert ids(await rig.claim()) == ["b"]

    through(door, case)


@WAYS
@pytest.mark.parametrize("outcome", [success("a", attempt=1), retry("a", attempt=1)], ids=["end", "retry"])
def test_a_settlement_is_not_refused_for_itself(door: Proxy, way, outcome) -> None:
    async def case(rig: Rig) -> None:
        await rig.send("a", "b")
        first, second = await rig.claim()
        rule = door.on(way[0], "commit", way[1])

        answer = await again(lambda: rig.commit(first, record=outcome, seat=seat(0, b"1", size=1)))

        assert rule.fired
        assert isinstance(answer, Committed)
        assert answer.joined is not None
        assert answer.joined.values == (b"1",), "who took the last seat hears of it"
        # What somebody else has stored is refused as ever.
        await rig.backend.store((success("b", meta=b'{"result": 7}'),))
        door.on(way[0], "commit", way[1])
        assert isinstance(await again(lambda: rig.commit(second, record=success("b"))), Stale)

    through(door, case)


@WAYS
def test_what_is_given_back_is_there_once(door: Proxy, way) -> None:
    async def case(rig: Rig) -> None:
        await rig.send("a", "b")
        taken = await rig.claim()
        rule = door.on(way[0], "back", way[1])

        await again(lambda: rig.give_back(*taken))

        assert rule.fired
        assert ids(await rig.claim()) == ["a", "b"]

    through(door, case)
