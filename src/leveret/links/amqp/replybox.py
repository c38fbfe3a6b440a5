"""Results that travel as messages (`rpc://`, celery.md 2.5): one reply queue per process, and what came out of it.

The queue has a name of its own, is durable and outlives a lost connection by five minutes: an auto-deleted one, as
Celery's, loses what arrives while its client reconnects. It is bounded, and so is what is kept here.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from pamqp import commands

from leveret.errors import DecodeError, OperationalError
from leveret.links.amqp.declaring import Steps
from leveret.links.amqp.letters import Letter
from leveret.links.amqp.protocol.errors import ChannelClosed
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.protocol.properties import PERSISTENT, TRANSIENT, Properties, read_properties, write_properties
from leveret.logic.wire.foreign import status_of
from leveret.model.message import TaskId
from leveret.model.settlement import Record
from leveret.model.state import READY_STATES

QUEUE_EXPIRES_SECONDS = 300
MOST_WAITING = 100_000
"""Results in the queue; beyond it the oldest are dropped."""
MOST_KEPT = 10_000
"""Results nobody has asked for yet."""
PREFETCH = 64
STATE, ATTEMPT = "leveret.state", "leveret.attempt"


class _Head(Struct):
    """What a waiter must know of a document, whoever wrote it."""

    status: str = "SUCCESS"
    task_id: str = ""


_DECODERS: dict[str, Callable[[bytes], _Head]] = {
    "application/json": msgspec.json.Decoder(_Head).decode,
    "application/x-msgpack": msgspec.msgpack.Decoder(_Head).decode,
}


class ReplyQueueMoved(OperationalError):
    """Who gave the old name as the address for a reply must give the new one."""


class ReplyBox:
    """Shared by every face of one process; a forked child begins its own. `_guard` guards the records."""

    def __init__(self, new_id: Callable[[], str], expires: float | None) -> None:
        self._new_id, self._expires = new_id, expires
        self._start_over()

    def _start_over(self) -> None:
        self._pid = os.getpid()
        self._guard = threading.Lock()
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._listeners: set[Callable[[], None]] = set()
        self._name = f"leveret.reply.{self._new_id()}"
        self.faces = 0
        """Connections that consume from it: with more than one a waiter must also look what the others got."""

    def _own(self) -> None:
        """After a fork: what was received, and a lock that may be held, are the parent's."""
        if self._pid != os.getpid():
            self._start_over()

    @property
    def name(self) -> str:
        self._own()
        return self._name

    def declare(self) -> Steps:
        """The queue; again after a reconnect, under its old name. Raises `ReplyQueueMoved` where its node of a cluster
        is down: from then on another name is the one to give."""
        arguments: dict[str, Any] = {
            "x-expires": QUEUE_EXPIRES_SECONDS * 1000,
            "x-max-length": MOST_WAITING,
            "x-overflow": "drop-head",
        }
        if self._expires is not None:
            arguments["x-message-ttl"] = max(1, int(self._expires * 1000))
        made = yield commands.Queue.Declare(queue=self.name, durable=True, arguments=arguments)
        if isinstance(made, ChannelClosed):
            if made.home_is_down:
                was, self._name = self._name, f"leveret.reply.{self._new_id()}"
                raise ReplyQueueMoved(f"{was} was on a node that is down") from made
            raise OperationalError(f"the reply queue: the broker refused: {made}") from made
        return made

    def take(self, message: Delivered) -> None:
        """Keep what a worker answered; what cannot be read is nobody's result."""
        record = read_reply(message)
        if record is not None:
            self.keep((record,))
            self.ring()

    def look(self, ids: Sequence[str]) -> tuple[Record | None, ...]:
        self._own()
        with self._guard:
            return tuple(self._records.get(name) for name in ids)

    def keep(self, records: Sequence[Record]) -> None:
        """Also what this process itself stored (`update_state` of an eager task). An end stands."""
        self._own()
        with self._guard:
            for record in records:
                before = self._records.get(record.id)
                if before is None or not before.terminal:
                    self._records[record.id] = record
            while len(self._records) > MOST_KEPT:
                self._records.popitem(last=False)

    def forget(self, ids: Sequence[str]) -> None:
        self._own()
        with self._guard:
            for name in ids:
                self._records.pop(name, None)

    def ring(self) -> None:
        """Wake everybody who waits: what they wait on must be looked at anew."""
        self._own()
        with self._guard:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        self._own()
        with self._guard:
            self._listeners.add(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        self._own()
        with self._guard:
            self._listeners.discard(listener)


def over(now: tuple[Record | None, ...], before: tuple[Record | None, ...]) -> bool:
    """Whether a wait for these ends."""
    return now != before or any(record is not None and record.terminal for record in now)


def read_reply(message: Delivered) -> Record | None:
    """A worker's answer, ours or Celery's."""
    try:
        properties = read_properties(message.properties)
        state, name = _head(properties, message.body)
    except Exception:  # hostile bytes in a reply queue are nobody's result
        return None
    if not name:
        return None
    attempt = properties.headers.get(ATTEMPT)
    return Record(
        id=TaskId(name),
        attempt=attempt if type(attempt) is int else 0,
        state=state,
        meta=message.body,
        content_type=properties.content_type or "application/json",
        terminal=state in READY_STATES,
    )


def _head(properties: Properties, body: bytes) -> tuple[str, str]:
    state = properties.headers.get(STATE)
    if isinstance(state, str) and properties.correlation_id:
        return state, properties.correlation_id
    head = _read_head(properties.content_type, body)
    return head.status, properties.correlation_id or head.task_id


def _read_head(content_type: str, body: bytes) -> _Head:
    decode = _DECODERS.get(content_type)
    try:
        if decode is not None:
            return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # NaN, Infinity and lone surrogates: Python's json, which is Celery's, writes what msgspec does not read.
        pass
    status = status_of(body)
    if status is None:
        raise DecodeError("no result document")
    return _Head(status)


def reply(record: Record, persistent: bool) -> Letter:
    """An outcome for whoever waits (`celery/backends/rpc.py`); nobody may be there any more: not mandatory."""
    plain = record.content_type == "application/json"
    # A JSON document is quickly asked for its state; what the waiter has no decoder for says it in a header.
    headers = {} if plain else {STATE: record.state}
    properties = write_properties(
        Properties(
            content_type=record.content_type,
            content_encoding="utf-8" if plain else "binary",
            headers={**headers, ATTEMPT: record.attempt} if record.attempt else headers,
            delivery_mode=PERSISTENT if persistent else TRANSIENT,
            correlation_id=record.id,
        )
    )
    return Letter("", record.reply_to or "", properties, record.meta, False)
