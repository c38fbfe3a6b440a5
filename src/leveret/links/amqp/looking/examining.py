"""What of RabbitMQ will hurt, as far as an ordinary user can see it: no management plugin is needed.

How a queue was made is learnt by declaring it as a worker would: what differs is refused by name (406), and nothing is
changed. Only queues that are there are asked about.
"""

import asyncio
import re
from typing import Any

from leveret.links.amqp import declaring
from leveret.links.amqp.address import Failover
from leveret.links.amqp.aio import AsyncConnection, Deaf, connect
from leveret.links.amqp.protocol import frames, methods
from leveret.links.amqp.protocol.errors import ChannelClosed
from leveret.links.amqp.publisher import follow
from leveret.model.insight.finding import ALARM, ERROR, NOTE, WARNING, Finding, Needs
from leveret.model.options import DriverOptions

OLDEST = (3, 8)
FEW_CHANNELS = 16
LOW_DELIVERY_LIMIT = 20
"""A message that is given back so often is dropped by the broker: each killed process counts, each restart does."""
ALARM_SECONDS = 0.3
PROBE = "leveret.doctor"
MOST_DIFFERENCES = 10
_VALUE = re.compile(r"the value '(?P<value>[^']*)'")
_DIFFERS = re.compile(
    r"inequivalent arg '(?P<name>[\w-]+)' for queue .*?: received (?P<ours>.*?) but current is (?P<theirs>.*)",
    re.DOTALL,
)


async def examine(failover: Failover, options: DriverOptions, needs: Needs) -> tuple[Finding, ...]:
    where = f"RabbitMQ at {failover.shown}"
    found = await _alarms(where, failover)
    connection = await connect(failover)
    try:
        found += [*_server(where, connection), *await _rights(where, connection)]
        for queue in needs.queues:
            found += await _queue(connection, options, queue)
        return tuple(found)
    finally:
        await connection.close()


def _server(where: str, connection: AsyncConnection) -> list[Finding]:
    version = connection.server.get("version", "")
    text = version.decode() if isinstance(version, bytes) else str(version)
    parts = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if not parts or parts >= OLDEST:
        return []
    return [
        Finding(
            severity=ERROR,
            check="server-old",
            where=where,
            text=f"it is {text}: it has no quorum queues",
            change="update RabbitMQ to 3.13 or 4",
        )
    ]


async def _rights(where: str, connection: AsyncConnection) -> list[Finding]:
    """Whether this user may make, write and read a queue of ours."""
    name = f"{PROBE}.{id(connection):x}"
    channel = await connection.channel(Deaf())
    for doing, right, method in (
        ("make", "configure", methods.Queue.Declare(queue=name, exclusive=True, auto_delete=True)),
        ("read from", "read", methods.Basic.Get(queue=name, no_ack=True)),
    ):
        try:
            await connection.call(channel, method)
        except ChannelClosed as closed:
            return [_refused(where, doing, right, closed)]
    return []


def _refused(where: str, doing: str, right: str, closed: ChannelClosed) -> Finding:
    return Finding(
        severity=ERROR,
        check="permissions",
        where=where,
        text=f"this user may not {doing} queues ({right}): {closed}",
        change="rabbitmqctl set_permissions -p <vhost> <user> '.*' '.*' '.*'",
    )


async def _alarms(where: str, failover: Failover) -> list[Finding]:
    """The broker says so to whoever publishes, and from then on reads nothing more of that connection: one message to
    nobody is sent, on a connection of its own."""
    connection = await connect(failover)
    try:
        channel = await connection.channel(Deaf())
        connection.write(frames.publish_method(channel, "", f"{PROBE}.nobody", False))
        connection.write(frames.content(channel, b"\x00\x00", b"", connection.frame_max))
        await asyncio.sleep(ALARM_SECONDS)
        reason = connection.blocked
    finally:
        connection.abort()
    if reason is None:
        return []
    return [
        Finding(
            severity=ERROR,
            check=ALARM,
            where=where,
            text=f"it takes no messages now: {reason}",
            change="vm_memory_high_watermark, disk_free_limit  # or drain queues, free its disk",
        )
    ]


async def _queue(connection: AsyncConnection, options: DriverOptions, name: str) -> list[Finding]:
    """Each refusal names one thing that differs; asked again with that as it is, the next one is named."""
    if await follow(connection, declaring.look(name)) is None:
        return []
    topology, found = options.topology, list[Finding]()
    queue = topology.queue(name)
    arguments = declaring.queue_arguments(queue, topology)
    for _ in range(MOST_DIFFERENCES):
        method = methods.Queue.Declare(
            queue=name,
            durable=queue.durable,
            exclusive=queue.exclusive,
            auto_delete=queue.auto_delete,
            arguments=arguments,
        )
        try:
            await connection.call(await connection.channel(Deaf()), method)
        except ChannelClosed as closed:
            difference = _DIFFERS.search(closed.text)
            if difference is None:
                return found
            argument, ours, theirs = (difference[part].strip() for part in ("name", "ours", "theirs"))
            found += _judged(name, argument, ours, theirs)
            if not argument.startswith("x-"):
                return found
            _adapt(arguments, argument, theirs)
        else:
            return found
    return found


def _adapt(arguments: dict[str, Any], name: str, theirs: str) -> None:
    """As the broker says it: `none`, or `the value '3' of type 'signedint'`."""
    value = _VALUE.search(theirs)
    if value is None:
        arguments.pop(name, None)
    else:
        arguments[name] = int(value["value"]) if value["value"].isdigit() else value["value"]


def _judged(name: str, argument: str, ours: str, theirs: str) -> list[Finding]:
    where, again = f"queue {name}", f"drain it, `rabbitmqctl delete_queue {name}`, and let a worker make it again"
    match argument:
        case "x-queue-type" if "quorum" in ours:
            kind = value[1] if (value := re.search(r"'(\w+)'", theirs)) else "classic"
            text = f"it is {kind} and not quorum: a classic queue is lost with the one broker node that has it"
            return [Finding(severity=WARNING, check="classic-queue", where=where, text=text, change=again)]
        case "durable" if "true" in ours:
            text = "it is transient: what waits in it is gone when the broker restarts"
            return [Finding(severity=ERROR, check="transient-queue", where=where, text=text, change=again)]
        case "x-delivery-limit":
            return _limit(where, theirs, again)
        case "x-dead-letter-exchange" | "x-dead-letter-routing-key":
            return []
        case _:
            text = f"its {argument} is {theirs}, and this app would make it with {ours}; it is used as it is"
            return [Finding(severity=NOTE, check="queue-differs", where=where, text=text, change=again)]


def _limit(where: str, theirs: str, again: str) -> list[Finding]:
    number = re.search(r"\d+", theirs)
    if number is None or int(number[0]) >= LOW_DELIVERY_LIMIT:
        return []
    text = (
        f"its delivery limit is {number[0]}: the broker drops a message that was given back so often, and each restart "
        "of a worker may count"
    )
    return [Finding(severity=WARNING, check="delivery-limit", where=where, text=text, change=again)]
