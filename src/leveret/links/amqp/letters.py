"""Messages in AMQP's terms: a posting becomes bytes and a place, what was delivered becomes an `Encoded` and facts.

Facts of ours about one message (deliveries, charges, suspicion, why it is dead) travel in headers of their own, beside
the table the sender wrote, and never reach a task.
"""

import math
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from leveret.errors import EncodeError, QueueNotFound
from leveret.links.amqp import names
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.protocol.properties import Properties, read_properties, write_properties
from leveret.logic.wire.protocol import OUR_HEADER, RESERVED
from leveret.model.delivery import Charge, Encoded, Posting

COUNT, CHARGES, SUSPECT = "leveret.deliveries", "leveret.crashes", "leveret.suspect"
AGAIN = "leveret.redelivered"
QUEUE, REASON, AT = "leveret.queue", "leveret.reason", "leveret.at"
RAW = "leveret.properties"
"""The property bytes of a message whose properties nobody could read."""
_DELIVERY_COUNT = "x-delivery-count"
_BROKERS = frozenset(("x-death", _DELIVERY_COUNT, "x-acquired-count"))
_MOST_PROPERTIES = 131_052
"""Bytes that the header frame holds; it cannot be split."""
_MOST_REASON = 2_000
_OF_TASKS = RESERVED | {OUR_HEADER, "task", "id"}
"""Nearly no message has others."""


class Letter(Struct, frozen=True, gc=False):
    """A message on its way out: place, property bytes and body."""

    exchange: str
    routing_key: str
    properties: bytes
    body: bytes
    mandatory: bool = True
    queue: str = ""
    """The queue that must be there before it is sent; empty: nobody's business."""
    delay: int = 0
    """Whole seconds on the ladder."""
    short: int = 0
    """Steps on the short ladder (`names.SHORT_STEP_MS`), for what waits less than a second."""

    @property
    def late(self) -> bool:
        """Whether it goes by way of a ladder."""
        return bool(self.delay or self.short)


class Facts(Struct, frozen=True, kw_only=True):
    """What we wrote on a message, and what the broker did."""

    count: int = 1
    charges: tuple[Charge, ...] = ()
    suspect: bool = False
    again: bool = False
    """Sent anew instead of returned: of a return the broker would say `redelivered`, of a new message we must."""
    queue: str = ""
    """Of a dead letter or suspect: where it came from."""
    reason: str = ""
    broker_reason: str = ""
    """Why the broker itself dead-lettered it last, the ladder included; its own note, never ours to write."""
    at: float = 0.0
    """Of a dead letter: when it was parked. Of one that was sent again: when."""
    returns: int = 0
    """How often the broker counted it as returned (quorum queues)."""


PLAIN = Facts()


def letter(posting: Posting, now: float, facts: Facts = PLAIN, mode: int = 2) -> Letter:
    """A task message for its queue, by way of the ladder when it is early. Raises `EncodeError`."""
    encoded = posting.encoded
    headers = encoded.headers if facts is PLAIN else {**encoded.headers, **_written(facts)}
    properties = write_properties(
        Properties(
            content_type=encoded.content_type,
            content_encoding=encoded.content_encoding,
            headers=headers,
            delivery_mode=mode,
            priority=posting.priority or None,
            correlation_id=posting.id,
            reply_to=encoded.reply_to or "",
        )
    )
    if posting.not_before is not None and posting.not_before > now:
        if not posting.queue:
            raise QueueNotFound(f"exchange {posting.exchange!r}: a delay needs a queue of task_queues behind it")
        return delayed(posting.queue, posting.not_before - now, properties, encoded.body)
    if posting.exchange:
        return Letter(posting.exchange, posting.routing_key, properties, encoded.body, True, posting.queue)
    return Letter("", posting.queue, properties, encoded.body, True, posting.queue)


def delayed(queue: str, delay: float, properties: bytes, body: bytes) -> Letter:
    """The same on a ladder: whole seconds, or below one second steps of 32 ms; rounded up, so that nothing is early."""
    if not delay <= names.LONGEST_DELAY:
        raise EncodeError(f"a delay of {delay:g} s: RabbitMQ's ladder reaches {names.LONGEST_DELAY} s (8 years)")
    if delay <= names.LONGEST_SHORT:
        steps = max(1, math.ceil(delay * 1000 / names.SHORT_STEP_MS))
        exchange = names.short_level(names.rung(steps))
        return Letter(
            exchange, names.delayed_key(steps, queue, names.SHORT_BITS), properties, body, True, queue, 0, steps
        )
    seconds = math.ceil(delay)
    exchange = names.level(names.rung(seconds))
    return Letter(exchange, names.delayed_key(seconds, queue), properties, body, True, queue, seconds)


def read(properties: bytes, body: bytes) -> tuple[Encoded, Facts, Properties]:
    """Raises `ProtocolError` where the properties are none."""
    read = read_properties(properties)
    headers = read.headers
    facts = PLAIN
    if not _OF_TASKS.issuperset(headers) and any(map(_is_ours, headers)):
        facts = _facts(headers)
        headers = {name: value for name, value in headers.items() if not _is_ours(name)}
    encoded = Encoded(
        headers,
        body,
        read.content_type or "application/data",
        read.content_encoding or "utf-8",
        read.reply_to or None,
        # Celery's client writes 0 for none, which is what RabbitMQ takes an absent one for.
        read.priority or None,
    )
    return encoded, facts, read


def rewritten(read: Properties, encoded: Encoded, facts: Facts) -> bytes:
    """The properties again, with these facts instead of the old ones. Without the sender's time to live, as the broker
    itself drops it when it dead-letters: it would end the message on the ladder or among the dead."""
    data = _again(read, {**encoded.headers, **_written(facts)})
    if len(data) <= _MOST_PROPERTIES:
        return data
    # The sender's headers fill a frame: what is kept must still name the task.
    kept = {name: value for name in ("task", "id") if isinstance(value := encoded.headers.get(name), str)}
    return _again(read, {name: value[:255] for name, value in kept.items()} | _written(facts))


def _again(read: Properties, headers: dict[str, Any]) -> bytes:
    return write_properties(
        Properties(
            content_type=read.content_type,
            content_encoding=read.content_encoding,
            headers=headers,
            delivery_mode=read.delivery_mode,
            priority=read.priority,
            correlation_id=read.correlation_id,
            reply_to=read.reply_to,
            message_id=read.message_id,
        )
    )


def index_entry(queue: str) -> Letter:
    """Says that there is a queue of that name (`names.INDEX`)."""
    return Letter("", names.INDEX, write_properties(Properties(headers=_written(Facts(queue=queue)))), b"")


def unreadable(message: Delivered, queue: str, reason: str, at: float) -> Letter:
    """A dead letter of what has no readable properties."""
    headers = _written(Facts(queue=queue, reason=reason, at=at))
    if len(message.properties) <= _MOST_PROPERTIES - 4_000:
        headers[RAW] = message.properties
    return Letter("", names.dead(queue), write_properties(Properties(headers=headers)), message.body)


def _is_ours(name: str) -> bool:
    return name in _BROKERS or name.startswith(("leveret.", "x-first-death-", "x-last-death-"))


def _written(facts: Facts) -> dict[str, Any]:
    written: dict[str, Any] = {}
    if facts.count > 1:
        written[COUNT] = facts.count
    if facts.charges:
        written[CHARGES] = [[charge.reason, charge.at, charge.session] for charge in facts.charges]
    if facts.suspect:
        written[SUSPECT] = True
    if facts.again:
        written[AGAIN] = True
    if facts.queue:
        written[QUEUE] = facts.queue
    if facts.reason:
        written[REASON] = facts.reason[:_MOST_REASON]
    if facts.at:
        written[AT] = facts.at
    return written


def _facts(headers: Mapping[str, Any]) -> Facts:
    """Of whatever a peer wrote under our names: what is not of the right kind is not believed."""
    return Facts(
        count=_whole(headers.get(COUNT), 1) or 1,
        charges=_charges(headers.get(CHARGES)),
        suspect=headers.get(SUSPECT) is True,
        again=headers.get(AGAIN) is True,
        queue=_string(headers.get(QUEUE)),
        reason=_string(headers.get(REASON)),
        broker_reason=_broker_reason(headers.get("x-death")),
        at=float(at) if isinstance(at := headers.get(AT), int | float) else 0.0,
        returns=_whole(headers.get(_DELIVERY_COUNT), 0),
    )


def _broker_reason(deaths: Any) -> str:
    """Why the broker itself dead-lettered it: `delivery_limit`, `rejected`, `expired`, `maxlen`."""
    last = deaths[0] if isinstance(deaths, list) and deaths else None
    return f"by the broker: {last.get('reason')}" if isinstance(last, Mapping) else ""


def _charges(value: Any) -> tuple[Charge, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(
        Charge(reason=entry[0], at=float(entry[1]), session=entry[2])
        for entry in value
        if isinstance(entry, list)
        and len(entry) == 3
        and isinstance(entry[0], str)
        and isinstance(entry[1], int | float)
        and isinstance(entry[2], str)
    )


def _whole(value: Any, default: int) -> int:
    return value if type(value) is int and value >= 0 else default


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
