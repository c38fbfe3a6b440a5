"""Every store that remembers revocations does so in the same way, and a claim that looks finds them."""

import asyncio

import pytest
from tests.servers.fixtures import shared_redis  # noqa: F401 - fixture

from leveret.backends.redis import RedisBackendDriver
from leveret.backends.sql.driver import SqlBackendDriver
from leveret.brokers.memory import MemoryDriver
from leveret.brokers.redis.driver import RedisDriver
from leveret.brokers.sql.driver import SqlDriver
from leveret.links.memory.server import MemoryServer
from leveret.logic.remote import marks
from leveret.model.delivery import Claim, Encoded, Posting, SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

NODE = Node(name="n@x", incarnation="i", boot="b", pid=1, queues=("q",))
SESSION = Session(id=SessionId("s"), node="n@x", incarnation="i", pid=1)


@pytest.fixture(params=["memory", "sqlite", "redis", "sqlite results", "redis results"])
def driver(request: pytest.FixtureRequest, tmp_path):
    clock, options = SystemClock(), DriverOptions()
    if request.param == "memory":
        return MemoryDriver(Url("memory://x"), options, clock, MemoryServer(options, clock))
    if request.param.startswith("sqlite"):
        kind = SqlBackendDriver if request.param.endswith("results") else SqlDriver
        return kind(Url(f"sqlite:///{tmp_path}/queue.db"), options, clock)
    server = request.getfixturevalue("shared_redis")
    server.call("FLUSHALL")
    return (RedisBackendDriver if request.param.endswith("results") else RedisDriver)(Url(server.url), options, clock)


def test_what_is_revoked_is_found_until_its_time_is_over(driver) -> None:
    group, stamp = marks.of_group("g"), marks.of_stamp("shop", 7)

    async def main() -> None:
        revocations = driver.revocations()
        assert await revocations.among(["a", group]) == frozenset()
        await revocations.revoke(["a", group, stamp], 60.0)
        await revocations.revoke(["over"], 0.05)
        await revocations.revoke(["a"], 0.05)
        await asyncio.sleep(0.1)
        await revocations.revoke(["b"], 60.0)

        assert await revocations.among(["a", "b", "c", group, stamp, marks.of_group("a")]) == {"a", "b", group, stamp}
        assert await revocations.among(["over"]) == frozenset()
        assert {"a", "b", group, stamp} <= set(await revocations.all(10))
        assert len(await revocations.all(2)) == 2

    asyncio.run(main())


def test_a_claim_tells_what_is_revoked_by_id_group_and_stamp(driver) -> None:
    if not hasattr(driver, "leases"):
        pytest.skip("a store is no broker")
    headers = {
        "plain": {},
        "by id": {},
        "by group": {"group": "g"},
        "by stamp": {"stamps": {"shop": [6, 7]}, "stamped_headers": ["shop"]},
        "another group": {"group": "h", "stamps": {"shop": 8}},
    }
    postings = tuple(
        Posting(id=name, queue="q", encoded=Encoded({"task": "t", "id": name, **more}, b"[[],{},{}]"))
        for name, more in headers.items()
    )

    async def main() -> None:
        broker = driver.broker()
        await driver.leases().register(NODE, (SESSION,))
        await broker.publish(postings)
        await driver.revocations().revoke(["by id", marks.of_group("g"), marks.of_stamp("shop", 7)], 60.0)

        found = await broker.claim(Claim(session=SESSION.id, queues=("q",), credit=10, number=1))

        assert {delivery.encoded.headers["id"]: delivery.revoked for delivery in found} == {
            name: name.startswith("by ") for name in headers
        }
        await broker.close()

    asyncio.run(main())
