"""Exchanges as kombu keeps them in Redis: tables of bindings for direct and topic ones, channels for fanout ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from leveret.errors import QueueNotFound
from leveret.links.redis.conversation import Command
from leveret.links.redis.names import SEPARATOR, Names
from leveret.links.redis.scripts import Verb, good
from leveret.logic.ids import derive
from leveret.logic.routing import topic_matches
from leveret.model.delivery import Posting
from leveret.model.queue import Queue
from leveret.model.topology import Topology

FANOUT = "fanout"
BROADCAST = "bcast."
"""Kombu's names of the queues that a `Broadcast` has for each worker: no list, but a listener on the channel."""


class Exchanges:
    """What the app says of its exchanges, and the way to those that only others know."""

    def __init__(self, names: Names, topology: Topology, *, database: int, transport: Mapping[str, Any]) -> None:
        self.names = names
        self._topology = topology
        given = transport.get("fanout_prefix", True)
        self._channels = f"{names.prefix}{given if isinstance(given, str) else '/{db}.' if given else ''}".replace(
            "{db}", str(database)
        )
        self._patterns = bool(transport.get("fanout_patterns", True))
        listed = [bound for queue in topology.queues.values() for bound in queue.bound]
        self.fanouts = frozenset(bound.exchange.name for bound in listed if bound.exchange.type == FANOUT)
        self._usual_key = topology.routing_key or topology.default_queue

    def channel(self, exchange: str, routing_key: str = "") -> str:
        """Where kombu publishes to a fanout exchange: where no key is given, by the default one, as Celery does."""
        key = routing_key or self._usual_key
        return f"{self._channels}{exchange}/{key}" if self._patterns else f"{self._channels}{exchange}"

    def broadcast(self, exchange: str) -> str:
        """Where kombu publishes what has no routing key at all."""
        return f"{self._channels}{exchange}"

    def heard_by(self, queue: str) -> tuple[str, ...]:
        """The channels that what is meant for a queue comes by."""
        found: dict[str, None] = {}
        for bound in self._topology.queue(queue).bound:
            if bound.exchange.type == FANOUT:
                # The second: of a publisher that has no routing key at all.
                found[self.channel(bound.exchange.name, bound.routing_key)] = None
                found[self.broadcast(bound.exchange.name)] = None
        return tuple(found)

    def bindings(self, queues: Iterable[str]) -> list[Command]:
        """Commands that have kombu's clients find these queues behind their exchanges."""
        return [
            ("SADD", self.names.key(f"{table}{exchange}"), member)
            for name in queues
            for exchange, member in _members(self._topology.queue(name))
            for table in ("_kombu.binding.", "_kombu.binding_permanent.")
        ]

    def route(self, postings: Sequence[Posting]) -> Verb[list[Posting]]:
        """Name the queues of what was sent to exchanges that this app does not list. Raises `QueueNotFound` where
        nobody is bound for one: it would vanish, as it does in Celery."""
        found: list[Posting] = []
        for posting in postings:
            if posting.queue:
                found.append(posting)
            else:
                answers = yield [("SMEMBERS", self.names.key(f"_kombu.binding.{posting.exchange}"))]
                found += _copies(posting, _reached(posting, good(answers[0])))
        return found


def _members(queue: Queue) -> Iterator[tuple[str, str]]:
    for bound in queue.bound:
        kind, key = bound.exchange.type, bound.routing_key
        if kind in ("direct", "topic"):
            pattern = pattern_of(key) if kind == "topic" else ""
            yield bound.exchange.name, SEPARATOR.join((key, pattern, queue.name))


def pattern_of(key: str) -> str:
    """The regular expression that kombu keeps beside a topic's key (`kombu/transport/virtual/exchange.py`)."""
    words = {"*": r"[^\.]+", "#": r".*?"}
    escaped = "".join(one if one.isalnum() or one in ".#*" else f"\\{one}" for one in key)
    return "^{}$".format(r"\.".join(words.get(word, word) for word in escaped.split(".")))


def bound_queues(members: Iterable[bytes], key: str) -> tuple[str, ...]:
    """The queues that a table's members lead to, but those that are channels."""
    rows = _rows(members)
    return tuple(queue for queue in _matching(rows, key) if not queue.startswith(BROADCAST))


def _rows(members: Iterable[bytes]) -> list[list[str]]:
    return [row for member in members if len(row := member.decode(errors="replace").split(SEPARATOR)) == 3]


def _matching(rows: list[list[str]], key: str) -> list[str]:
    # Not by kombu's pattern, which anybody may have written there: the key says the same.
    return sorted({queue for bound, pattern, queue in rows if (topic_matches(bound, key) if pattern else bound == key)})


def _reached(posting: Posting, members: Iterable[bytes]) -> list[str]:
    exchange, key = posting.exchange, posting.routing_key
    rows = _rows(members)
    if not rows:
        raise QueueNotFound(
            f"nothing was sent: no queue is bound to exchange {exchange!r} (_kombu.binding.{exchange} is empty); start "
            "a worker that consumes from it, or list its queue in task_queues"
        )
    if all(queue.startswith(BROADCAST) for _, _, queue in rows):
        raise QueueNotFound(
            f"nothing was sent: exchange {exchange!r} is a fanout: list Broadcast({exchange!r}) in task_queues"
        )
    reached = _matching(rows, key)
    if not reached:
        raise QueueNotFound(f"nothing was sent: no queue is bound to exchange {exchange!r} for routing key {key!r}")
    return reached


def _copies(posting: Posting, queues: list[str]) -> Iterator[Posting]:
    """Only the first has the id the caller knows: two runs of one id would fence each other off."""
    first, *others = queues
    yield replace(posting, queue=first)
    for queue in others:
        name = derive(posting.id, "copy", queue)
        headers = {**posting.encoded.headers, "id": name, "ignore_result": True}
        encoded = replace(posting.encoded, headers=headers, reply_to=None)
        yield replace(posting, id=name, queue=queue, encoded=encoded, once=True)
