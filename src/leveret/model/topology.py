"""What an app says about queues and exchanges, for brokers that have them; made from settings by wiring."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from leveret.model.queue import Broadcast, Exchange, Queue

DIRECT_EXCHANGE, DIRECT_SUFFIX = "C.dq2", ".dq2"
"""`worker_direct`: a queue for each node, named after it (`celery/utils/nodenames.py`)."""

ERRBACK_PREFIX = "leveret.errback."
"""Beside each queue that Celery's workers serve too (`Topology.celery`): where error callbacks of the new style wait
for ours. Celery's workers call such functions themselves, and can do nothing with a message for one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """`celery`: what Celery would declare is declared exactly as Celery 5.7 declares it (profile "celery")."""

    queues: Mapping[str, Queue] = field(default_factory=dict)
    """`task_queues` by name; others are made when they are first named."""
    celery: bool = False
    queue_type: str | None = None
    """`task_default_queue_type` of our own queues: classic or quorum; None: quorum."""
    missing_type: str | None = None
    """`task_create_missing_queue_type`, of queues nobody lists."""
    missing_exchange_type: str | None = None
    """`task_create_missing_queue_exchange_type`: such a queue is bound to an exchange of its name and this type."""
    exchange_type: str = "direct"
    exchange: str | None = None
    """`task_default_exchange`, for the default queue; None: named as the queue."""
    routing_key: str | None = None
    default_queue: str = "default"
    max_priority: int | None = None
    """`task_queue_max_priority`."""
    delivery_mode: int = 2
    """`task_default_delivery_mode`: 2 survives a restart of the broker, 1 does not."""

    def consumed(self, queues: tuple[str, ...]) -> tuple[str, ...]:
        """What whoever serves these queues has to consume."""
        return (*queues, *(ERRBACK_PREFIX + queue for queue in queues)) if self.celery else queues

    def queue(self, name: str) -> Queue:
        """The listed queue of that name, or a new one with nothing said about it."""
        found = self.queues.get(name)
        if found is not None:
            return found
        if name.endswith(DIRECT_SUFFIX):
            return Queue(name, Exchange(DIRECT_EXCHANGE), name.removesuffix(DIRECT_SUFFIX))
        for queue in self.queues.values():
            if isinstance(queue, Broadcast) and name.startswith(f"{queue.name}."):
                return queue.for_worker(name.removeprefix(f"{queue.name}."))
        return Queue(name) if name == self.default_queue else self._missing(name)

    def _missing(self, name: str) -> Queue:
        """As `celery/app/amqp.py:Queues.new_missing`."""
        kind, exchange_type = self.missing_type, self.missing_exchange_type
        exchange = Exchange(name, exchange_type) if exchange_type else None
        arguments = {"x-queue-type": kind} if kind and not (self.celery and kind == "classic") else None
        return Queue(name, exchange, name if exchange else "", queue_arguments=arguments)
