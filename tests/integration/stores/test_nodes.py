"""Two nodes on RabbitMQ that share what a store remembers."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.integration.sql.rig import node, posting, session, success, task_id
from tests.servers.rabbit.remote import Vhost

from leveret import Leveret
from leveret.model.delivery import Charge, Claim, Delivery, SessionId
from leveret.model.node import Reaping
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers


class Peer:
    """A node with one session, on a queue of its own or not."""

    def __init__(self, app: Leveret, name: str, queue: str) -> None:
        self.drivers = open_drivers(app.conf.settings, SystemClock())
        self.broker, self.leases = self.drivers.broker.broker(), self.drivers.broker.leases()
        self.name, self.queue = SessionId(name), queue
        self.node = replace(node(name, incarnation=name), queues=(queue,))
        self._number = 0

    async def start(self) -> "Peer":
        await self.leases.register(self.node, (session(self.name, self.node),))
        return self

    async def claim(self) -> tuple[Delivery, ...]:
        self._number += 1
        return await self.broker.claim(Claim(session=self.name, queues=(self.queue,), credit=9, number=self._number))

    async def until(self, wanted: str) -> list[Delivery]:
        """All that is handed over until this task is."""
        found: list[Delivery] = []
        async with asyncio.timeout(20):
            while wanted not in map(task_id, found):
                found += await self.claim()
                await asyncio.sleep(0.01)
        return found


@pytest.fixture(params=["sqlite", "redis"])
def tell(request: pytest.FixtureRequest, rabbit_vhost: Vhost, tmp_path: Path) -> Callable[..., None]:
    """Carry out a story of an app's nodes."""
    redis = request.param == "redis"
    store = request.getfixturevalue("shared_redis").url if redis else f"sqlite:///{tmp_path}/results.db"
    app: Any = Leveret(
        "t",
        broker=rabbit_vhost.url,
        backend=store,
        result_backend_transport_options={"global_keyprefix": f"{uuid.uuid4()}:"},
        set_as_current=False,
    )

    def tell(story: Callable[[Leveret], Awaitable[None]]) -> None:
        async def main() -> None:
            await story(app)

        asyncio.run(main())

    return tell


def test_a_copy_of_a_run_whose_holder_lives_waits_until_it_has_ended(tell):
    async def story(app: Leveret) -> None:
        one, other = await Peer(app, "a", "qa").start(), await Peer(app, "b", "qb").start()
        await one.broker.publish((posting("x", queue="qa"),))
        (mine,) = await one.until("x")
        await one.broker.publish((posting("x", queue="qb"), posting("y", queue="qb")))

        assert [task_id(delivery) for delivery in await other.until("y")] == ["y"]
        await one.broker.settle((success(mine),))
        await one.broker.publish((posting("z", queue="qa"),))
        await one.until("z")
        (copy,) = await other.until("x")
        assert copy.redelivered, "whoever begins it looks for an outcome first"

    tell(story)


def test_charges_are_known_to_the_other_node(tell):
    charge = Charge(reason="signal 9", at=1.5, session="a")

    async def story(app: Leveret) -> None:
        one = await Peer(app, "a", "q").start()
        await one.broker.publish((posting("x", queue="q"),))
        (mine,) = await one.until("x")
        await one.leases.reap((Reaping(session=one.name, charged=((mine.receipt, charge),)),))
        other = await Peer(app, "b", "q").start()

        (again,) = await other.until("x")
        assert again.charges == (charge,)

    tell(story)
