"""rabbit-give-backs: one message goes back unstarted fifty times. A quorum queue counts each return towards its delivery
limit; no innocent ever reaches it, whatever the limit, and it keeps its one life.
"""

import asyncio
from typing import Any

import amqp
import pytest
from tests.e2e.drill import keep
from tests.integration.servers.clients import channel
from tests.servers.rabbit.remote import Rabbit, Vhost

from leveret.brokers.amqp.driver import AmqpDriver
from leveret.model.delivery import Claim, Encoded, Posting, Return, SessionId
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

pytestmark = pytest.mark.chaos

GIVE_BACKS = 50
KINDS: dict[str, dict[str, Any]] = {
    "quorum, limit 5": {"x-queue-type": "quorum", "x-delivery-limit": 5},
    "quorum, limit 100": {"x-queue-type": "quorum", "x-delivery-limit": 100},
    "classic": {"x-queue-type": "classic"},
}


def declare(rabbit: Rabbit, vhost: Vhost, arguments: dict[str, Any]) -> None:
    """As an administrator may have declared it beforehand."""
    dead = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "leveret.dead.tasks"}
    with channel(rabbit.port, vhost.name) as by_hand:
        by_hand.queue_declare("tasks", durable=True, auto_delete=False, arguments={**arguments, **dead})


def counts(rabbit: Rabbit, vhost: Vhost) -> tuple[int, int]:
    """Ready, and dead."""

    def count(by_hand: amqp.Channel, name: str) -> int:
        try:
            return int(by_hand.queue_declare(name, passive=True).message_count)
        except amqp.NotFound:
            return 0

    with channel(rabbit.port, vhost.name) as by_hand:
        return count(by_hand, "tasks"), count(by_hand.connection.channel(), "leveret.dead.tasks")


async def give_back(url: str, times: int) -> int:
    """Claim it and give it back, again and again: by hand, and by letting it wait for a slot; answers how often."""
    clock = SystemClock()
    driver = AmqpDriver(Url(url), DriverOptions(), clock)
    broker = driver.broker()
    await broker.publish((Posting(id="a", queue="tasks", encoded=Encoded({"id": "a", "task": "t"}, b"[[], {}, {}]")),))
    await broker.open("s1", ("tasks",))
    done, number = 0, 0
    try:
        while done < times:
            claim = Claim(session=SessionId("s1"), queues=("tasks",), credit=1, number=number, idle=1)
            deliveries = await asyncio.wait_for(broker.claim(claim), 10)
            number += 1
            if not deliveries:
                await asyncio.wait_for(broker.bell(("tasks",), 1.0), 10)
                continue
            assert [one.encoded.headers["id"] for one in deliveries] == ["a"]
            await broker.give_back((Return(receipt=deliveries[0].receipt),))
            done += 1
    finally:
        await broker.close()
    return done


def drill(rabbit: Rabbit, patience: float = 30.0) -> dict[str, Any]:
    """`patience`: seconds for each kind of queue; what has become a dead letter never comes again."""
    report: dict[str, Any] = {"give_backs": {}, "ready": {}, "dead": {}}
    for kind, arguments in KINDS.items():
        own = rabbit.vhost()
        try:
            declare(rabbit, own, arguments)
            try:
                report["give_backs"][kind] = asyncio.run(asyncio.wait_for(give_back(own.url, GIVE_BACKS), patience))
            except TimeoutError:
                report["give_backs"][kind] = -1
            report["ready"][kind], report["dead"][kind] = counts(rabbit, own)
        finally:
            rabbit.drop_vhost(own.name)
    return report


def test_fifty_give_backs_never_dead_letter_a_message(rabbit: Rabbit) -> None:
    report = drill(rabbit)

    keep("rabbit-give-backs", report)
    assert set(report["give_backs"].values()) == {GIVE_BACKS}
    assert set(report["ready"].values()) == {1}
    assert set(report["dead"].values()) == {0}
