"""The consumers of one channel, and which queue each stands for.

More is asked for by one consumer more, never by a new one in place of the old: a message that the queue had sent when
its consumer was cancelled goes back, and comes again behind later ones.
"""

from pamqp import commands

from leveret.brokers.amqp.unsettled import Unsettled
from leveret.links.amqp.aio import AsyncConnection
from leveret.links.amqp.protocol import methods
from leveret.links.amqp.protocol.events import Delivered
from leveret.model.topology import Topology


class Consumers:
    """Owned by the worker's loop."""

    def __init__(self, connection: AsyncConnection, topology: Topology, unsettled: Unsettled) -> None:
        self._connection, self._topology, self._unsettled = connection, topology, unsettled
        self._generation = 0
        self._names: dict[str, str] = {}
        """Consumer tag -> queue, of all there ever were."""

    def begin(self, queues: tuple[str, ...], prefetch: int) -> None:
        """One consumer more of each queue, for so many messages more."""
        channel = self._unsettled.channel
        self._generation += 1
        self._connection.post(channel, commands.Basic.Qos(prefetch_count=prefetch, global_=False))
        for queue in queues:
            tag = f"{self._generation}.{queue}"
            self._unsettled.consumers[tag] = 0
            self._names[tag] = queue
            arguments = dict(self._topology.queue(queue).consumer_arguments or {})
            self._connection.post(channel, methods.Basic.Consume(queue=queue, consumer_tag=tag, arguments=arguments))

    async def cancel(self) -> None:
        """End all; returns when everything that was on its way has come."""
        channel = self._unsettled.channel
        for tag in self._unsettled.consumers:
            self._connection.send(channel, commands.Basic.Cancel(consumer_tag=tag, nowait=True))
        self._unsettled.consumers.clear()
        # The answer to a later method comes behind what was sent before it.
        await self._connection.call(channel, commands.Basic.Qos(prefetch_count=1, global_=False))

    def ended(self, tag: str) -> str | None:
        """The broker ended a consumer; answers its queue, None where it was ended before."""
        return None if self._unsettled.consumers.pop(tag, None) is None else self._names[tag]

    def got(self, message: Delivered, queue: str) -> None:
        """What a get brought belongs to no consumer; its queue is remembered as if it did."""
        self._names[message.consumer] = queue

    def queue_of(self, message: Delivered) -> str:
        return self._names.get(message.consumer, "")
