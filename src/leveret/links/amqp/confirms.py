"""Publisher confirms without I/O: which batches are still open, and how each ended. Both pumps' publishers use it."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from leveret.links.amqp.protocol.events import Confirmed, Returned


class Blockable(Protocol):
    """What a connection knows of the broker's alarms."""

    @property
    def blocked(self) -> str | None: ...

    @property
    def last_blocked(self) -> tuple[str, float] | None: ...


def silence(connection: Blockable, since: float) -> str:
    """Why nothing was answered since then (monotonic), where an alarm of the broker is the reason, also one that has
    just ended; else an empty string. For the end of a sentence."""
    if connection.blocked is not None:
        return f" (it takes no messages: {connection.blocked})"
    last = connection.last_blocked
    return f" (it took no messages: {last[0]})" if last is not None and last[1] >= since else ""


class Batch:
    """Messages published together. `done` is called once, when the broker has answered for all, or the line broke."""

    __slots__ = ("done", "items", "open", "refused", "returned", "severed")

    def __init__(self, items: Sequence[Any], done: Callable[[], None]) -> None:
        self.items = items
        self.open = len(items)
        self.refused = 0
        """Nacked: a full queue (`reject-publish`), or an error in the broker."""
        self.returned: list[Returned] = []
        """Mandatory messages that no queue took."""
        self.severed: Exception | None = None
        self.done = done


class Confirms:
    """One channel in confirm mode. The broker counts publishes from 1; so do we."""

    def __init__(self) -> None:
        self._next = 1
        self._open: dict[int, Batch] = {}

    @property
    def unanswered(self) -> int:
        return len(self._open)

    @property
    def oldest(self) -> int | None:
        return next(iter(self._open), None)

    def add(self, batch: Batch) -> int:
        """Call before the batch's frames are written, in the order of writing. Answers the first one's number."""
        first = self._next
        for tag in range(self._next, self._next + len(batch.items)):
            self._open[tag] = batch
        self._next += len(batch.items)
        return first

    def confirmed(self, confirm: Confirmed) -> None:
        if not confirm.multiple:
            batch = self._open.pop(confirm.tag, None)
            if batch is not None:
                self._close(batch, confirm.accepted)
            return
        tags = []
        for tag in self._open:  # in order: the broker counts up
            if tag > confirm.tag:
                break
            tags.append(tag)
        for tag in tags:
            self._close(self._open.pop(tag), confirm.accepted)

    def returned(self, message: Returned) -> None:
        """Its confirm follows. It belongs to the batch that holds it; where the broker wrote it anew, so that nobody
        can tell, to every batch for that place: rather one too many fails than one is lost without a word."""
        place = message.exchange, message.routing_key
        batches = {id(batch): batch for batch in self._open.values()}.values()
        there = [batch for batch in batches if any((one.exchange, one.routing_key) == place for one in batch.items)]
        for batch in [batch for batch in there if _holds(batch, message)][:1] or there:
            batch.returned.append(message)

    def sever(self, error: Exception) -> None:
        """Nothing more will be answered."""
        batches = {id(batch): batch for batch in self._open.values()}
        self._open.clear()
        for batch in batches.values():
            batch.severed = error
            batch.done()

    def _close(self, batch: Batch, accepted: bool) -> None:
        batch.open -= 1
        batch.refused += not accepted
        if not batch.open:
            batch.done()


def _holds(batch: Batch, message: Returned) -> bool:
    return any(
        one.routing_key == message.routing_key
        and one.exchange == message.exchange
        and one.properties == message.properties
        and one.body == message.body
        for one in batch.items
    )
