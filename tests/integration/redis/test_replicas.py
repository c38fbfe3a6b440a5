"""`wait_replicas`: a send counts as sent when a replica has it too."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.servers.availability import redis_server, require, valkey_server
from tests.servers.fixtures import own_sentinels  # noqa: F401 - fixture
from tests.servers.sentinel import SentinelFleet

from leveret.brokers.redis.driver import RedisDriver
from leveret.errors import ImproperlyConfigured, PublishUnknown
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import QUEUE, ids, posting
from leveret.wiring.clock import SystemClock


class Factory:
    real_time = True

    def __init__(self, url: str, replicas: int = 1) -> None:
        self.url, self.replicas = url, replicas

    def __call__(self, options, clock):
        return RedisDriver(Url(self.url), replace(options, transport={"wait_replicas": self.replicas}), clock)


@pytest.mark.parametrize(
    ("face", "kind", "find"), [("loop", "redis", redis_server), ("thread", "valkey", valkey_server)]
)
def test_a_send_is_not_confirmed_before_a_replica_has_it(face: str, kind: str, find: Callable[[], Path]) -> None:
    """The thread's second try is on another connection: since Redis 7.2, and in Valkey, that has nothing to wait for."""
    require(find)
    with SentinelFleet(kind=kind) as fleet:
        asyncio.run(sent_without_a_replica(fleet, face))


async def sent_without_a_replica(fleet: SentinelFleet, face: str) -> None:
    replica = next(server for server in fleet.servers if server is not fleet.master())

    async def send(rig: Rig, name: str, seconds: float) -> None:
        if face == "loop":
            await rig.broker.publish_within((posting(name),), seconds)
        else:
            await asyncio.to_thread(rig.main.blocking().publish, (posting(name),), timeout=seconds)

    rig = Rig(Factory(fleet.url))
    await rig.join()
    await send(rig, "a", 5.0)
    os.kill(replica.pid, signal.SIGSTOP)
    try:
        with pytest.raises(PublishUnknown):
            await send(rig, "b", 2.5)
    finally:
        os.kill(replica.pid, signal.SIGCONT)
    await send(rig, "b", 5.0)
    await send(rig, "c", 5.0)

    assert ids(await rig.claim()) == ["a", "b", "c"], "and each once"
    await rig.close()


def test_what_a_master_confirms_late_is_confirmed_by_whoever_is_the_master_then(
    own_sentinels: SentinelFleet,  # noqa: F811
) -> None:
    """A master that stood still takes itself for one for ten seconds more, and all that it confirms is lost then."""

    async def main() -> None:
        rig = Rig(Factory(own_sentinels.url, replicas=0))
        await rig.join()
        blocking = rig.main.blocking()
        await rig.broker.publish_within((posting("a"),), 5.0)
        await asyncio.to_thread(blocking.publish, (posting("b"),), timeout=5.0)
        own_sentinels.replicated()

        election = asyncio.create_task(asyncio.to_thread(own_sentinels.fail_over, freeze=True))
        await asyncio.sleep(0.2)
        sends = [
            asyncio.create_task(rig.broker.publish_within((posting("loop"),), 10.0)),
            asyncio.create_task(asyncio.to_thread(blocking.publish, (posting("thread"),), timeout=10.0)),
        ]
        old, _ = await election
        os.kill(old.pid, signal.SIGCONT)
        await asyncio.gather(*sends)

        told = own_sentinels.master().call("LRANGE", f"{QUEUE}\x06\x169", "0", "-1")
        assert all(f'"{name}"' in told for name in ("a", "b", "loop", "thread"))
        assert own_sentinels.master() is not old
        await rig.close()

    asyncio.run(main())


def test_a_number_of_replicas_that_is_none() -> None:
    with pytest.raises(ImproperlyConfigured, match="wait_replicas must be a number, not 'all'"):
        RedisDriver(Url("redis://localhost"), DriverOptions(transport={"wait_replicas": "all"}), SystemClock())
