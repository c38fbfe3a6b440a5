"""Every store that remembers pauses does so in the same way."""

import asyncio

import pytest
from tests.servers.fixtures import shared_redis  # noqa: F401 - fixture

from leveret.backends.redis import RedisBackendDriver
from leveret.backends.sql.driver import SqlBackendDriver
from leveret.brokers.memory import MemoryDriver
from leveret.brokers.redis.driver import RedisDriver
from leveret.brokers.sql.driver import SqlDriver
from leveret.links.memory.server import MemoryServer
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.ports.limiting.pauses import Pause
from leveret.wiring.clock import SystemClock


@pytest.fixture(params=["memory", "sqlite", "redis", "sqlite results", "redis results"])
def make(request: pytest.FixtureRequest, tmp_path):
    """Drivers of one server, a new one for each call."""
    clock, options = SystemClock(), DriverOptions()
    if request.param == "memory":
        server = MemoryServer(options, clock)
        return lambda: MemoryDriver(Url("memory://x"), options, clock, server)
    if request.param.startswith("sqlite"):
        kind = SqlBackendDriver if request.param.endswith("results") else SqlDriver
        return lambda: kind(Url(f"sqlite:///{tmp_path}/queue.db"), options, clock)
    redis = request.getfixturevalue("shared_redis")
    redis.call("FLUSHALL")
    kind = RedisBackendDriver if request.param.endswith("results") else RedisDriver
    return lambda: kind(Url(redis.url), options, clock)


def test_what_is_paused_is_known_to_others_until_it_is_resumed(make) -> None:
    mail = Pause(kind="queue", name="mail", since=1.5, by="ann@desk: the provider is down")
    send = Pause(kind="task", name="app.tasks.send", since=2.0)

    async def main() -> None:
        await make().pauses().pause((mail, send))
        others = make().pauses()

        assert await others.all() == (mail, send)
        assert await others.resume("queue", ("mail", "web", "app.tasks.send")) == ("mail",)
        assert await make().pauses().all() == (send,)
        assert await others.resume("queue", ("mail",)) == ()
        assert await others.resume("task", ("app.tasks.send",)) == ("app.tasks.send",)
        assert await others.all() == ()

    asyncio.run(main())


def test_pausing_again_changes_who_asked_and_not_since_when(make) -> None:
    async def main() -> None:
        pauses = make().pauses()
        await pauses.pause((Pause(kind="queue", name="mail", since=1.0, by="ann"),))
        await pauses.pause((Pause(kind="queue", name="mail", since=9.0, by="bob"),))

        assert await pauses.all() == (Pause(kind="queue", name="mail", since=1.0, by="bob"),)

    asyncio.run(main())
