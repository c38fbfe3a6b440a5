"""RabbitMQ, a fresh vhost for each case: real time, sessions that are connections, results as messages.

A recorder stands between: no connection ever sends `basic.qos` with global, declares a transient non-exclusive queue or
mirrored-queue arguments, which RabbitMQ 4 refuses and which cannot be tried here (`rabbit_proxy` asserts it)."""

from dataclasses import replace

import pytest
from tests.servers.fixtures import rabbit, rabbit_proxy, rabbit_vhost  # noqa: F401 - fixtures
from tests.servers.proxy import Proxy
from tests.servers.rabbit.remote import Rabbit, Vhost

from leveret.brokers.amqp.driver import AmqpDriver
from leveret.model.endpoint import Url
from leveret.model.queue import Queue
from leveret.model.topology import Topology
from leveret.testing.conformance import *  # noqa: F403 - the suite's classes, collected here
from leveret.testing.conformance.fleet import DriverFactory, Process
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import QUEUE, URGENT


class RabbitRig(Rig):
    """What a supervisor does beside `reap`, and how a connection breaks."""

    async def vanish(self, process: Process) -> None:
        await self.sever(process)
        await process.driver.broker().close()

    async def sever(self, process: Process) -> None:
        process.driver.broker().abort()


@pytest.fixture
def driver_factory(rabbit: Rabbit, rabbit_vhost: Vhost, rabbit_proxy: Proxy) -> DriverFactory:  # noqa: F811
    def make(options, clock):
        topology = Topology(queues={URGENT: Queue(URGENT, max_priority=9)}, default_queue=QUEUE)
        return AmqpDriver(
            Url(rabbit.url_of(rabbit_vhost.name, port=rabbit_proxy.port)), replace(options, topology=topology), clock
        )

    make.real_time = make.high_first_only = True
    make.rig = RabbitRig
    return make
