"""A chord whose sender dies: with a broker that takes messages one by one, and a store apart from it."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
import redis

from leveret import Leveret, chord, group
from leveret.errors import PublishFailed
from leveret.model.delivery import Claim, Posting, SessionId
from leveret.model.node import Node, Session
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers
from leveret.worker.chores import Sweeper


class Later(SystemClock):
    """The real clock, an hour from now. Redis goes by its own: there what is noted is made older."""

    def now(self) -> float:
        return super().now() + 3600


class Dies(BaseException):
    """Nothing the sender could catch: its process is gone."""


@pytest.fixture(params=["sqlite and sqlite", "sqlite and redis", "rabbitmq and sqlite", "rabbitmq and redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The URLs of broker and store."""
    broker, store = f"sqlite:///{tmp_path}/queue.db", f"sqlite:///{tmp_path}/results.db"
    if request.param.startswith("rabbitmq"):
        broker = request.getfixturevalue("rabbit_vhost").url
    if request.param.endswith("redis"):
        store = request.getfixturevalue("shared_redis").url
    return broker, store


@pytest.fixture
def app(place: tuple[str, str]) -> Any:
    prefix = {"global_keyprefix": f"{uuid.uuid4()}:"}
    broker, store = place
    made = Leveret("t", broker=broker, backend=store, result_backend_transport_options=prefix, set_as_current=False)

    @made.task(name="one")
    def one(n: int) -> int:
        return n

    yield made
    made.close()


def dying(app: Any, k: int, error: type[BaseException]) -> None:
    """The broker has the first `k` messages when the sender is stopped."""
    broker = app.client.parts.broker
    honest = broker.publish

    def publish(postings: tuple[Posting, ...], *, timeout: float) -> None:
        for posting in postings[:k]:
            honest((posting,), timeout=timeout)
        raise error()

    broker.publish = publish


def on_rabbit(app: Any) -> bool:
    return app.conf.settings.broker_url.scheme == "amqp"


def header(app: Any) -> Any:
    return chord([app.tasks["one"].s(n) for n in range(5)], app.tasks["one"].s())


def claimed(app: Any) -> list[str]:
    async def main() -> list[str]:
        drivers = open_drivers(app.conf.settings, SystemClock())
        broker, node = drivers.broker.broker(), Node(name="n", incarnation="1", boot="b", pid=1)
        await drivers.broker.leases().register(node, (Session(id=SessionId("s"), node="n", incarnation="1", pid=1),))
        deliveries = await broker.claim(Claim(session=SessionId("s"), queues=("default",), credit=99, number=0))
        return sorted(str(delivery.encoded.headers["group_index"]) for delivery in deliveries)

    return asyncio.run(main())


def sweep(app: Any, clock: Any) -> int:
    store = app.conf.settings.result_backend
    if isinstance(clock, Later) and store.scheme == "redis":
        with redis.Redis.from_url(str(store)) as server:
            key = f"{app.conf.result_backend_transport_options['global_keyprefix']}leveret:outbox"
            server.zunionstore(key, {key: 0})

    async def main() -> int:
        drivers = open_drivers(app.conf.settings, clock)
        assert drivers.remembering is not None
        return await Sweeper(drivers.remembering.outbox(), drivers.broker.broker(), clock).sweep()

    return asyncio.run(main())


@pytest.mark.parametrize("k", [0, 2, 5])
def test_a_header_that_was_half_sent_is_completed(app: Any, k: int) -> None:
    dying(app, k, Dies)
    with pytest.raises(Dies):
        header(app).apply_async()

    assert sweep(app, SystemClock()) == 0, "its sender may be at it still"
    assert sweep(app, Later()) == 1
    assert sweep(app, Later()) == 0
    found = claimed(app)
    # RabbitMQ has no door: a copy is stopped before it runs.
    assert (sorted(set(found)) if len(found) == 5 + k and on_rabbit(app) else found) == ["0", "1", "2", "3", "4"]


def test_what_was_refused_is_not_sent_later(app: Any) -> None:
    dying(app, 0, PublishFailed)
    with pytest.raises(PublishFailed):
        header(app).apply_async()

    assert sweep(app, Later()) == 0


def test_what_was_sent_is_not_sent_again(app: Any) -> None:
    header(app).apply_async()
    asyncio.run(header(app).aapply_async())

    assert sweep(app, Later()) == 0
    assert len(claimed(app)) == 10


def test_a_group_needs_no_outbox(app: Any) -> None:
    dying(app, 1, Dies)
    with pytest.raises(Dies):
        group(app.tasks["one"].s(n) for n in range(3)).apply_async()

    assert sweep(app, Later()) == 0


def test_a_fused_driver_needs_none(tmp_path: Path) -> None:
    fused = Leveret("t", broker=f"sqlite:///{tmp_path}/queue.db", set_as_current=False)

    assert fused.client.parts.outbox is None
