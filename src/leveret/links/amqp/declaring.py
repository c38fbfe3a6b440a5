"""What is declared, and in which order; written once for both pumps as generators of methods.

A step yields a method and gets its answer, or the `ChannelClosed` the broker answered with (as a value: 404 and 406 are
answers here). The pump opens a fresh channel after each of those.

Existing queues and exchanges are taken as they are: a queue is looked for before it is made, and who loses the race to
make it differently takes the other's (DESIGN 6).
"""

from collections.abc import Generator, Iterable, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from leveret.errors import OperationalError, QueueNotFound
from leveret.links.amqp import names
from leveret.links.amqp.letters import Letter
from leveret.links.amqp.protocol import methods
from leveret.links.amqp.protocol.errors import ChannelClosed
from leveret.model.queue import Broadcast, Exchange, Queue, binding
from leveret.model.topology import ERRBACK_PREFIX, Topology

Steps = Generator[Any, Any, Any]


class Place(Struct, frozen=True, kw_only=True):
    """A queue that is there."""

    messages: int = 0
    """Ready to be delivered."""
    consumers: int = 0
    made: bool = False
    """Just now, by us: the index must hear of it."""


def _place(ok: Any, *, made: bool = False) -> Place:
    return Place(messages=ok.message_count or 0, consumers=ok.consumer_count or 0, made=made)


NOT_FOUND, LOCKED, PRECONDITION_FAILED, REFUSED = 404, 405, 406, 403
DELIVERY_LIMIT = 100
"""Of our own quorum queues: a backstop only, ours is the counter that decides."""


def queue_and_bindings(topology: Topology, name: str) -> Steps:
    """A task queue with its exchanges; answers its `Place`, None for a broadcast's."""
    if name.startswith(ERRBACK_PREFIX):
        return (yield from errback_queue(name))
    queue = topology.queue(name)
    names.check_queue(name)
    if isinstance(queue, Broadcast):
        # Each worker has a queue of its own behind it; the sender needs its exchange only.
        yield from exchange(queue.exchange)
        return None
    found = yield from _queue(queue, topology)
    if queue.no_declare:
        # As kombu: neither it nor anything around it.
        return found
    for bound in _bindings(queue, topology):
        yield from _bind(name, bound)
    return found


def _queue(queue: Queue, topology: Topology) -> Steps:
    found = yield methods.Queue.Declare(queue=queue.name, passive=True)
    if not isinstance(found, ChannelClosed):
        return _place(found)
    if found.code != NOT_FOUND:
        raise _refusal(f"queue {queue.name!r}", found)
    if queue.no_declare:
        raise QueueNotFound(f"queue {queue.name!r} does not exist, and no_declare says not to make it")
    made = yield methods.Queue.Declare(
        queue=queue.name,
        durable=queue.durable,
        exclusive=queue.exclusive,
        auto_delete=queue.auto_delete,
        arguments=queue_arguments(queue, topology),
    )
    if not isinstance(made, ChannelClosed):
        return _place(made, made=True)
    # Somebody else made it meanwhile, with other arguments: theirs is as good.
    found = yield methods.Queue.Declare(queue=queue.name, passive=True)
    if isinstance(found, ChannelClosed):
        raise _refusal(f"queue {queue.name!r}", made)
    return _place(found)


def queue_arguments(queue: Queue, topology: Topology) -> dict[str, Any]:
    """As kombu makes them (`kombu/entity.py`, `to_rabbitmq_queue_arguments`), with our own type where none is said.

    Our own queues are quorum queues with a delivery limit; those with priorities are classic, since quorum queues had
    none before RabbitMQ 4, and transient ones are classic by nature.
    """
    arguments = dict(queue.queue_arguments or {})
    for option, argument, scale in (
        ("expires", "x-expires", 1000),
        ("message_ttl", "x-message-ttl", 1000),
        ("max_length", "x-max-length", 1),
        ("max_length_bytes", "x-max-length-bytes", 1),
        ("max_priority", "x-max-priority", 1),
    ):
        value = getattr(queue, option)
        if value is not None:
            arguments[argument] = int(value * scale)
    if topology.max_priority is not None:
        arguments.setdefault("x-max-priority", topology.max_priority)
    if topology.queue_type is not None:
        if "x-max-priority" not in arguments:
            arguments.setdefault("x-queue-type", topology.queue_type)
    elif not topology.celery and _can_be_quorum(queue, arguments):
        arguments["x-queue-type"] = "quorum"
    if arguments.get("x-queue-type") == "quorum" and not topology.celery:
        arguments.setdefault("x-delivery-limit", DELIVERY_LIMIT)
        arguments.setdefault("x-dead-letter-exchange", "")
        arguments.setdefault("x-dead-letter-routing-key", names.dead(queue.name))
    return arguments


def _can_be_quorum(queue: Queue, arguments: Mapping[str, Any]) -> bool:
    transient = not queue.durable or queue.exclusive or queue.auto_delete
    # What somebody said about a queue stands; only of those nobody described do we choose the kind.
    return not (
        transient or "x-queue-type" in arguments or "x-max-priority" in arguments or "x-queue-mode" in arguments
    )


def _bindings(queue: Queue, topology: Topology) -> Iterable[binding]:
    if queue.bound:
        return queue.bound
    if not topology.celery:
        return ()
    # Celery binds every queue to a direct exchange of its name (`celery/app/amqp.py:Queues`).
    default = queue.name == topology.default_queue
    name = (topology.exchange if default else None) or queue.name
    key = queue.routing_key or (topology.routing_key if default else None) or queue.name
    return (binding(Exchange(name, topology.exchange_type if default else "direct"), key),)


def _bind(queue: str, bound: binding) -> Steps:
    if not bound.exchange.name:
        return
    yield from exchange(bound.exchange)
    answer = yield methods.Queue.Bind(
        queue=queue,
        exchange=bound.exchange.name,
        routing_key=bound.routing_key,
        arguments=dict(bound.arguments or {}),
    )
    if isinstance(answer, ChannelClosed):
        raise _refusal(f"binding of {queue!r} to {bound.exchange.name!r}", answer)


def exchange(wanted: Exchange) -> Steps:
    """An exchange, unless it is there."""
    found = yield methods.Exchange.Declare(exchange=wanted.name, exchange_type=wanted.type, passive=True)
    if not isinstance(found, ChannelClosed):
        return
    if found.code != NOT_FOUND or wanted.passive or wanted.no_declare:
        raise _refusal(f"exchange {wanted.name!r}", found)
    made = yield methods.Exchange.Declare(
        exchange=wanted.name,
        exchange_type=wanted.type,
        durable=wanted.durable,
        auto_delete=wanted.auto_delete,
        arguments=dict(wanted.arguments or {}),
    )
    if isinstance(made, ChannelClosed) and made.code != PRECONDITION_FAILED:
        raise _refusal(f"exchange {wanted.name!r}", made)


def look(name: str) -> Steps:
    """The `Place` of a queue that is there, else None."""
    found = yield methods.Queue.Declare(queue=name, passive=True)
    if isinstance(found, ChannelClosed):
        if found.code != NOT_FOUND:
            raise _refusal(f"queue {name!r}", found)
        return None
    return _place(found)


def one(method: Any) -> Steps:
    """A single method; answers its reply."""
    return (yield from _checked(method))


# Ours


def own_queue(name: str, arguments: Mapping[str, Any] = MappingProxyType({})) -> Steps:
    """A queue of our own (dead letters, suspects); answers its `Place`."""
    found = yield from look(name)
    if found is not None:
        return found
    made = yield methods.Queue.Declare(queue=name, durable=True, arguments={"x-queue-type": "quorum", **arguments})
    if isinstance(made, ChannelClosed):
        made = yield methods.Queue.Declare(queue=name, passive=True)
        if isinstance(made, ChannelClosed):
            raise _refusal(f"queue {name!r}", made)
    return _place(made)


def errback_queue(name: str) -> Steps:
    """Where error callbacks wait that Celery's workers must not get; answers its `Place`."""
    arguments = {
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": names.dead(name),
    }
    return (yield from own_queue(name, arguments))


def dead_queue(queue: str) -> Steps:
    """Where dead letters of `queue` go; answers whether it was made just now, and must be entered in the index."""
    if (yield from look(names.dead(queue))) is not None:
        return False
    yield from own_queue(names.INDEX)
    yield from own_queue(names.dead(queue))
    return True


def ladder(highest: int) -> Steps:
    """The rungs from 0 to `highest`, lowest first, so that a rung that exists has all below it.

    Kombu's topology under our own prefix: sharing its names means 406 for one side. The delivery exchange has an
    alternate one: without it forty messages for one deleted queue stop the ladder for everybody.
    """
    if (yield from _is_there(names.level(highest))):
        return
    yield from _delivery(names.DELIVERY_EXCHANGE)
    below = names.DELIVERY_EXCHANGE
    for number in range(highest + 1):
        below = yield from _rung(names.level(number), (1 << number) * 1000, below, names.rung_keys(number))


def short_ladder() -> Steps:
    """All rungs for delays below one second, lowest first; built as the other."""
    if (yield from _is_there(names.short_level(names.SHORT_BITS - 1))):
        return
    yield from _delivery(names.SHORT_DELIVERY)
    below = names.SHORT_DELIVERY
    for number in range(names.SHORT_BITS):
        keys = names.rung_keys(number, names.SHORT_BITS)
        below = yield from _rung(names.short_level(number), names.SHORT_STEP_MS << number, below, keys)


def _is_there(name: str) -> Steps:
    found = yield methods.Exchange.Declare(exchange=name, exchange_type="topic", passive=True)
    return not isinstance(found, ChannelClosed)


def _delivery(name: str) -> Steps:
    yield from exchange(Exchange(names.UNROUTABLE, "fanout"))
    yield from own_queue(names.UNROUTABLE)
    yield from _checked(methods.Queue.Bind(queue=names.UNROUTABLE, exchange=names.UNROUTABLE, routing_key=""))
    alternate = {"alternate-exchange": names.UNROUTABLE}
    yield from exchange(Exchange(name, "topic", arguments=alternate))


def _rung(name: str, milliseconds: int, below: str, keys: tuple[str, str]) -> Steps:
    """`keys`: of what waits here, and of what goes straight to the next. Answers its name."""
    yield from own_queue(
        name,
        {
            "x-overflow": "reject-publish",
            "x-message-ttl": milliseconds,
            "x-dead-letter-exchange": below,
            "x-dead-letter-strategy": "at-least-once",
        },
    )
    # Its exchange last: who sees it must find all of the rung. Bound before anybody publishes to it.
    yield from exchange(Exchange(name, "topic"))
    yield from _checked(methods.Queue.Bind(queue=name, exchange=name, routing_key=keys[0]))
    yield from _checked(methods.Exchange.Bind(destination=below, source=name, routing_key=keys[1]))
    return name


def delays(letters: Sequence[Letter], declared: Set[str], highest: int) -> list[tuple[str, Steps]]:
    """What is missing for letters that go by way of a ladder, each with the name to note it under. `highest`: the rung
    of the ladder that is known to be there; "" is the name of a higher one."""
    missing: list[tuple[str, Steps]] = []
    top = max((names.rung(letter.delay) for letter in letters if letter.delay), default=-1)
    if top > highest:
        missing.append(("", ladder(top)))
    if any(letter.short for letter in letters) and names.arrives_shortly("") not in declared:
        missing.append((names.arrives_shortly(""), short_ladder()))
    for queue in {letter.queue for letter in letters if letter.delay}:
        if names.arrives(queue) not in declared:
            missing.append((names.arrives(queue), arrival(queue)))
    for queue in {letter.queue for letter in letters if letter.short}:
        if names.arrives_shortly(queue) not in declared:
            missing.append((names.arrives_shortly(queue), short_arrival(queue)))
    return missing


def arrival(queue: str) -> Steps:
    """Where a delayed message for `queue` arrives."""
    yield from _checked(
        methods.Queue.Bind(queue=queue, exchange=names.DELIVERY_EXCHANGE, routing_key=names.arrival_key(queue))
    )


def short_arrival(queue: str) -> Steps:
    yield from _checked(
        methods.Queue.Bind(
            queue=queue, exchange=names.SHORT_DELIVERY, routing_key=names.arrival_key(queue, names.SHORT_BITS)
        )
    )


def _checked(method: Any) -> Steps:
    answer = yield method
    if isinstance(answer, ChannelClosed):
        raise _refusal(method.name, answer)
    return answer


def _refusal(what: str, closed: ChannelClosed) -> OperationalError:
    return OperationalError(f"{what}: the broker refused: {closed}")
