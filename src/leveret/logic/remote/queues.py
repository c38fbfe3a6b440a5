"""A queue as kombu describes it (`kombu/abstract.py:Object.as_dict`)."""

from collections.abc import Mapping
from typing import Any

from leveret.logic.remote.plain import plain
from leveret.model.queue import Exchange, Queue, binding


def queue_as_dict(queue: Queue) -> Mapping[str, Any]:
    """One that names no exchange is reached by its own name: Celery's worker shows that as an exchange of its name."""
    exchange: Exchange = queue.exchange
    own = exchange if exchange.name or queue.bindings else Exchange(queue.name)
    return {
        "name": queue.name,
        "exchange": exchange_as_dict(own),
        "routing_key": queue.routing_key or ("" if queue.bindings else queue.name),
        "queue_arguments": _plain(queue.queue_arguments),
        "binding_arguments": _plain(queue.binding_arguments),
        "consumer_arguments": _plain(queue.consumer_arguments),
        "durable": queue.durable,
        "exclusive": queue.exclusive,
        "auto_delete": queue.auto_delete,
        "no_ack": queue.no_ack,
        "alias": queue.alias,
        "bindings": [_binding(bound) for bound in queue.bindings],
        "no_declare": queue.no_declare or None,
        "expires": queue.expires,
        "message_ttl": queue.message_ttl,
        "max_length": queue.max_length,
        "max_length_bytes": queue.max_length_bytes,
        "max_priority": queue.max_priority,
    }


def exchange_as_dict(exchange: Exchange) -> Mapping[str, Any]:
    return {
        "name": exchange.name,
        "type": exchange.type,
        "arguments": _plain(exchange.arguments),
        "durable": exchange.durable,
        "passive": exchange.passive,
        "auto_delete": exchange.auto_delete,
        "delivery_mode": exchange.delivery_mode,
        "no_declare": exchange.no_declare,
    }


def _binding(bound: binding) -> Mapping[str, Any]:
    return {
        "exchange": exchange_as_dict(bound.exchange),
        "routing_key": bound.routing_key,
        "arguments": _plain(bound.arguments),
        "unbind_arguments": _plain(bound.unbind_arguments),
    }


def _plain(arguments: Mapping[str, Any] | None) -> Any:
    return None if arguments is None else plain(arguments)
