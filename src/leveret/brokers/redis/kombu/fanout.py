"""Fanout exchanges are channels in kombu: who listens at that moment hears of it, nobody else, as in Celery.

Every worker process of a node listens, and the first that puts what it hears into the node's own queue is the only one:
so a process that is being replaced leaves no gap. From there on it is a message like others.
"""

import asyncio
import logging
from functools import partial
from hashlib import sha1

from leveret.brokers.redis.kombu.exchanges import Exchanges
from leveret.errors import BrokerError
from leveret.links.redis import envelope
from leveret.links.redis.hub import Hub
from leveret.links.redis.names import URGENT, Names
from leveret.links.redis.scripts import ask

log = logging.getLogger("leveret.redis")


class Ears:
    """Of one worker process."""

    def __init__(self, names: Names, exchanges: Exchanges) -> None:
        self._names, self._exchanges = names, exchanges
        self._hub: Hub | None = None
        self._writing: set[asyncio.Task[None]] = set()

    def listen(self, hub: Hub, queues: tuple[str, ...]) -> None:
        """Hear what is meant for these queues from now on."""
        if self._hub is hub:
            return
        self._hub = hub
        for queue in queues:
            for channel in self._exchanges.heard_by(queue):
                hub.listen(channel.encode(), partial(self._hear, hub, queue))

    def _hear(self, hub: Hub, queue: str, raw: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._keep(hub, queue, raw))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _keep(self, hub: Hub, queue: str, raw: bytes) -> None:
        name = self._names.list(queue, min(max(envelope.priority(raw), 0), URGENT))
        call = f"{queue}:{sha1(raw).hexdigest()}"
        try:
            await hub.perform(ask("publish", self._names.prefix, call, "+", name, 1, raw))
        except BrokerError as error:
            log.warning("a broadcast for %s was heard and could not be kept: %s", queue, error)
