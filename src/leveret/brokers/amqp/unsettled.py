"""What a consuming channel has not acknowledged, and the frames that settle it."""

from collections.abc import Iterable

from leveret.links.amqp.protocol import frames
from leveret.links.amqp.protocol.events import Delivered


class Unsettled:
    """Deliveries by tag."""

    def __init__(self) -> None:
        self.channel = 0
        self._open: dict[int, Delivered] = {}
        """By tag, in the broker's order."""
        self._newest = 0
        self.consumers: dict[str, int] = {}
        """How many are open of each present consumer, which is what its prefetch counts."""

    def __len__(self) -> int:
        return len(self._open)

    def get(self, tag: int) -> Delivered | None:
        return self._open.get(tag)

    def add(self, message: Delivered) -> bool:
        """Answers whether it came through a present consumer."""
        self._open[message.tag] = message
        if message.tag < self._newest:
            # Taken in late (an answer to basic.get, behind what was pushed): an ack of many must find it in its place.
            self._open = dict(sorted(self._open.items()))
        else:
            self._newest = message.tag
        count = self.consumers.get(message.consumer)
        if count is None:
            return False
        self.consumers[message.consumer] = count + 1
        return True

    def acknowledge(self, tags: Iterable[int]) -> bytes:
        """One frame for the gap-free prefix of what is open, one for each of the others."""
        batch = set(tags)
        last = 0
        for tag in self._open:
            if tag not in batch:
                break
            last = tag
        out = [frames.ack(self.channel, last, True)] if last else []
        for tag in batch:
            if self._close(tag) and tag > last:
                out.append(frames.ack(self.channel, tag))
        return b"".join(out)

    def refuse(self, tags: Iterable[int]) -> bytes:
        """Each back to its queue, in the order they came."""
        return b"".join([frames.nack(self.channel, tag) for tag in sorted(tags) if self._close(tag)])

    def clear(self) -> None:
        self._open.clear()

    def _close(self, tag: int) -> bool:
        message = self._open.pop(tag, None)
        if message is None:
            return False
        if message.consumer in self.consumers:
            self.consumers[message.consumer] -= 1
        return True
