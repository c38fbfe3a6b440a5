"""Settings about queues and exchanges become a topology."""

from dataclasses import replace

from leveret.config.settings import Settings
from leveret.logic.routing import Router
from leveret.model.queue import Exchange, Queue, as_queue, binding
from leveret.model.topology import Topology


def build_topology(settings: Settings) -> Topology:
    """What a broker with exchanges declares for this app."""
    celery = settings.profile == "celery"
    # Celery binds every listed queue to its default exchange; we bind those that say where to.
    queues = dict(build_default_router(settings).queues) if celery else listed_queues(settings)
    kind, default = settings.task_default_queue_type, settings.task_default_queue
    if celery:
        if kind == "quorum" and not settings.task_queues:
            # Celery's word for the queue it makes itself, and for no other.
            queues[default] = replace(queues[default], queue_arguments={"x-queue-type": kind})
        kind = None
    return Topology(
        queues=queues,
        celery=celery,
        queue_type=kind,
        missing_type=settings.task_create_missing_queue_type,
        missing_exchange_type=settings.task_create_missing_queue_exchange_type,
        exchange=settings.task_default_exchange,
        exchange_type=settings.task_default_exchange_type,
        routing_key=settings.task_default_routing_key,
        default_queue=default,
        max_priority=settings.task_queue_max_priority,
        delivery_mode=settings.task_default_delivery_mode,
    )


def listed_queues(settings: Settings) -> dict[str, Queue]:
    """`task_queues` by name."""
    listed = settings.task_queues or ()
    pairs = listed.items() if hasattr(listed, "items") else (("", queue) for queue in listed)
    return {queue.name: queue for queue in (as_queue(value, name) for name, value in pairs)}


def build_default_router(settings: Settings) -> Router:
    return Router(
        settings.task_queues or (), None, settings.task_default_queue, default_binding=default_binding(settings)
    )


def default_binding(settings: Settings) -> binding:
    """The exchange and key of queues that name none, as Celery has it."""
    return binding(
        Exchange(settings.task_default_exchange or settings.task_default_queue, settings.task_default_exchange_type),
        settings.task_default_routing_key or settings.task_default_queue,
    )
