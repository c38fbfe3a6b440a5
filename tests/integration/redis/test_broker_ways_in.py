"""The broker by every way in that results have: sockets, sentinels, logins; and what it is told of the server."""

import asyncio
import logging

import pytest
from tests.integration.redis.server import Sentinel, Server
from tests.servers.availability import redis_server, require
from tests.servers.host.ports import HOST
from tests.servers.redis import RedisOptions

from leveret.brokers.redis.driver import RedisDriver
from leveret.errors import ImproperlyConfigured
from leveret.model.delivery import Claim, Encoded, Posting, SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

NODE = Node(name="w", incarnation="w-1", boot="b", pid=4_000_000, queues=("q",))


def driver(url: str, **transport) -> RedisDriver:
    return RedisDriver(Url(url), DriverOptions(transport=transport), SystemClock())


def posting(id: str) -> Posting:
    return Posting(id=id, queue="q", encoded=Encoded({"task": "t", "id": id}, b"[[],{},{}]"))


def works(drv: RedisDriver) -> None:
    """Send from a thread and from a loop, and claim both."""
    face = drv.blocking()
    face.publish((posting("a"),), timeout=5)
    face.close()

    async def main() -> list[str]:
        broker = drv.broker()
        await broker.publish((posting("b"),))
        session = Session(id=SessionId("s"), node="w", incarnation="w-1", pid=4_000_001)
        await drv.leases().register(NODE, (session,))
        taken = await broker.claim(Claim(session=SessionId("s"), queues=("q",), credit=5, number=1))
        await broker.close()
        return [one.encoded.headers["id"] for one in taken]

    assert asyncio.run(main()) == ["a", "b"]


@pytest.mark.parametrize("scheme", ["unix", "redis+socket"])
def test_a_socket_in_the_file_system(tmp_path, scheme):
    require(redis_server)
    path = tmp_path / "redis.sock"
    with Server(RedisOptions(conf=(f'unixsocket "{path}"',))) as server:
        works(driver(f"{scheme}://{path}?virtual_host=3"))
        assert int(server.cli("-n", 3, "DBSIZE")) > 0


def test_a_password_and_a_user(own_server):
    own_server.cli("ACL", "SETUSER", "someone", "on", ">secret", "~*", "&*", "+@all")
    own_server.cli("CONFIG", "SET", "requirepass", "pass")

    works(driver(own_server.url.replace("redis://", "redis://:pass@")))
    works(driver(own_server.url_as("someone", "secret")[:-1] + "1"))


def test_the_sentinels_master(tmp_path):
    require(redis_server)
    with Server() as master, Sentinel(master) as sentinel:
        works(driver(f"sentinel://127.0.0.1:{sentinel.port}/1", master_name="main"))
        assert int(master.cli("-n", 1, "DBSIZE")) > 0


def test_a_read_only_replica_is_refused(tmp_path):
    require(redis_server)
    with (
        Server() as master,
        Server(RedisOptions(conf=(f"replicaof {HOST} {master.port}",))) as replica,
        pytest.raises(ImproperlyConfigured, match="is a read-only replica: name the master, or let sentinel://"),
    ):
        asyncio.run(driver(replica.url).leases().register(NODE, ()))


@pytest.mark.parametrize(("conf", "warned"), [((), True), (("appendonly yes",), False)], ids=["without", "with"])
def test_a_redis_without_an_append_only_file_is_warned_of(conf, warned, caplog):
    require(redis_server)
    with Server(RedisOptions(conf=conf)) as server, caplog.at_level(logging.WARNING, "leveret.redis"):
        works(driver(server.url))

    told = [record.message for record in caplog.records if "append-only file" in record.getMessage()]
    assert len(told) == warned
