"""One wait for some results, without I/O: what is known, what was heard, and whether it is over."""

from collections.abc import Sequence

from leveret.links.redis.conversation import Command
from leveret.links.redis.results.records import Keys, Raw, pushed, read
from leveret.model.settlement import Record

FIRST_LOOK, LONGEST_LOOK = 0.5, 5.0
"""Messages get lost with their connection, and a publisher may have no right to publish: behind the channel every
waiter reads again, first after half a second, then twice as late each time."""


class Watch:
    """Subscribe first, then look; so nothing falls between. Over when one of the ids has ended or has changed since.

    Law: at most one look is under way. What was published before its answer came is in the answer.
    """

    __slots__ = ("_keys", "_pause", "_raw", "channels", "ids", "looking", "looks", "over", "records")

    def __init__(self, keys: Keys, ids: Sequence[str]) -> None:
        self._keys = keys
        self.ids = tuple(ids)
        self.channels: tuple[bytes, ...] = tuple(keys.document(name).encode() for name in ids)
        self.records: list[Record | None] = [None] * len(self.ids)
        self._raw: list[Raw] = []
        self.looks = 0
        self.looking = self.over = False
        self._pause = FIRST_LOOK / 2

    def look(self) -> Command:
        """Ask what is stored; `saw` takes the answer."""
        self.looking = True
        return self._keys.look(self.ids)

    def saw(self, values: Sequence[bytes | None]) -> None:
        """Take the answer of a look."""
        raw = list(zip(values[::2], values[1::2], strict=True))
        if raw != self._raw:
            self.records = [read(name, pair) for name, pair in zip(self.ids, raw, strict=True)]
            self.over = self.looks > 0 or any(record is not None and record.terminal for record in self.records)
            self._raw = raw
        self.looks += 1
        self.looking = False

    def lost(self) -> None:
        """The answer of a look will not come."""
        self.looking = False

    def heard(self, channel: bytes, payload: bytes) -> bool:
        """Take a message; True when it takes a look to understand it."""
        if self.looking or self.over:
            return False
        for place, own in enumerate(self.channels):
            if own == channel:
                record = pushed(self.ids[place], payload, self.records[place])
                if record is None:
                    return True
                self.records[place] = record
                self.over = True
        return False

    def pause(self, listening: bool) -> float:
        """Seconds until the next look; without a channel every half second."""
        self._pause = min(self._pause * 2, LONGEST_LOOK) if listening else FIRST_LOOK
        return self._pause

    def silent(self) -> tuple[bytes, ...]:
        """The channels on which nothing more will be said."""
        ended = zip(self.channels, self.records, strict=True)
        return tuple(channel for channel, record in ended if record is not None and record.terminal)
