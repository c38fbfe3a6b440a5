"""Lanes as others meet them in Redis: Celery's clients and workers, users with few rights; and what is left of them."""

import asyncio
import re
from pathlib import Path

from kombu import Connection
from tests.integration.redis.server import Server

from leveret.brokers.redis.driver import RedisDriver
from leveret.model.delivery import Claim, Delivery, Encoded, Posting, Return, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment
from leveret.wiring.clock import SystemClock

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "redis-keys.md"
NODE = Node(name="w", incarnation="w-1", boot="b", pid=4_000_000, queues=("q",))
SESSION = Session(id=SessionId("s"), node="w", incarnation="w-1", pid=4_000_001)


def driver(url: str) -> RedisDriver:
    return RedisDriver(Url(url), DriverOptions(), SystemClock())


async def send(drv: RedisDriver, *names: str, lane: str = "") -> None:
    made = [Encoded({"task": "t", "id": name}, b"[[],{},{}]") for name in names]
    postings = [Posting(id=name, queue="q", encoded=one, lane=lane) for name, one in zip(names, made, strict=True)]
    await drv.broker().publish(tuple(postings))


async def claim(drv: RedisDriver, number: int, credit: int = 10) -> tuple[Delivery, ...]:
    return await drv.broker().claim(Claim(session=SESSION.id, queues=("q",), credit=credit, number=number))


async def acknowledge(drv: RedisDriver, deliveries: tuple[Delivery, ...]) -> None:
    await drv.broker().settle(tuple(Commitment(receipt=one.receipt, verdict=Verdict.ACK) for one in deliveries))


def ids(deliveries: tuple[Delivery, ...]) -> list[str]:
    return [one.encoded.headers["id"] for one in deliveries]


def test_a_celery_worker_takes_what_has_no_lane_and_does_not_see_the_rest(server: Server) -> None:
    async def fill() -> None:
        drv = driver(server.url)
        await send(drv, "a0", "a1", lane="a")
        await send(drv, "plain")
        await drv.broker().close()

    asyncio.run(fill())

    with Connection(server.url) as connection:
        channel = connection.channel()
        seen = [channel.basic_get("q", no_ack=True) for _ in range(2)]

    assert seen[0].headers["id"] == "plain" and seen[1] is None
    assert server.cli("HGETALL", "leveret:lanes").split()[1] == "2"


def test_what_celerys_clients_send_takes_its_turn(server: Server) -> None:
    async def play() -> list[str]:
        drv = driver(server.url)
        await drv.leases().register(NODE, (SESSION,))
        await send(drv, *(f"a{n}" for n in range(6)), lane="a")
        with Connection(server.url) as connection, connection.Producer() as producer:
            for number in range(2):
                headers = {"task": "t", "id": f"celery{number}", "lang": "py"}
                producer.publish([[], {}, {}], routing_key="q", headers=headers, declare=[])
        found = ids(await claim(drv, 1))
        await drv.broker().close()
        return found

    found = asyncio.run(play())

    assert [name for name in found[:4] if name.startswith("celery")] == ["celery0", "celery1"] and len(found) == 8


def test_nothing_is_left_of_lanes_that_ran_empty(server: Server) -> None:
    async def play() -> None:
        drv = driver(server.url)
        await drv.leases().register(NODE, (SESSION,))
        for number in range(1, 10, 3):
            await send(drv, *(f"a{number}{n}" for n in range(3)), lane="a")
            await send(drv, f"b{number}", lane="b")
            first = await claim(drv, number, credit=2)
            await drv.broker().give_back(tuple(Return(receipt=one.receipt) for one in first))
            await acknowledge(drv, await claim(drv, number + 1))
            assert await claim(drv, number + 2) == ()
        await drv.leases().leave(NODE)
        await drv.broker().close()

    asyncio.run(play())

    left = [name for name in server.cli("KEYS", "*").split() if "lane" in name or "turns" in name or ":" in name[1:2]]
    assert left == []


def test_the_rights_on_the_page_are_enough(server: Server) -> None:
    rules = re.search(r"^ACL SETUSER queue on >secret (.*)$", PAGE.read_text(), re.MULTILINE)
    assert rules
    server.cli("ACL", "SETUSER", "someone", "reset", "on", ">secret", *rules[1].replace("<queue>", "q").split())

    async def play() -> tuple[int, list[str]]:
        drv = driver(server.url.replace("redis://", "redis://someone:secret@"))
        await drv.leases().register(NODE, (SESSION,))
        await send(drv, "a0", "a1", lane="a")
        await send(drv, "b0", lane="b")
        first = await claim(drv, 1, credit=1)
        await drv.broker().give_back((Return(receipt=first[0].receipt, delay=0.01),))
        (counts,) = await drv.admin().counts(("q",))
        found = ids(await claim(drv, 2, credit=2))
        await drv.admin().purge(("q",))
        await drv.broker().close()
        return counts.ready + (counts.delayed or 0), found

    ready, found = asyncio.run(play())

    assert ready == 3 and len(found) == 2
