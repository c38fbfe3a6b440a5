"""AMQP 0-9-1 as frames: split from a stream that comes in any pieces, and the methods' names."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pamqp.commands import INDEX_MAPPING

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
GREETING = ord("A")
END = 0xCE
KINDS = (METHOD, HEADER, BODY, HEARTBEAT)

MethodId = tuple[int, int]


def _spelled(name: str) -> str:
    """Spell a method as the specification does: Queue.DeclareOk is queue.declare-ok."""
    return re.sub(r"(?<=[a-z])([A-Z])", r"-\1", name).lower()


METHODS: dict[str, MethodId] = {_spelled(c.name): (index >> 16, index & 0xFFFF) for index, c in INDEX_MAPPING.items()}
NAMES: dict[MethodId, str] = {id: name for name, id in METHODS.items()}
WITH_CONTENT = frozenset(METHODS[f"basic.{name}"] for name in ("publish", "return", "deliver", "get-ok"))


class NotAmqp(ValueError):
    """What came cannot be a frame."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it came; the greeting `AMQP....` counts as one too."""

    kind: int
    channel: int
    raw: bytes

    @property
    def method(self) -> MethodId | None:
        return struct.unpack_from(">HH", self.raw, 7) if self.kind == METHOD else None

    @property
    def content_size(self) -> int:
        """Bytes of content a header frame announces, or a body frame carries."""
        return struct.unpack_from(">Q", self.raw, 11)[0] if self.kind == HEADER else len(self.raw) - 8


class FrameSplitter:
    """Bytes in, whole frames out; the rest waits for more."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._buffer += data
        while length := self._length():
            raw = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield _frame(raw)

    def _length(self) -> int:
        """Count the bytes of the first frame; 0: it is not all here."""
        if not self._buffer:
            return 0
        if self._buffer[0] == GREETING:
            return 8 if len(self._buffer) >= 8 else 0
        if self._buffer[0] not in KINDS:
            raise NotAmqp(f"no frame begins with {bytes(self._buffer[:16])!r}")
        if len(self._buffer) < 7:
            return 0
        length = 8 + struct.unpack_from(">I", self._buffer, 3)[0]
        return length if len(self._buffer) >= length else 0


def _frame(raw: bytes) -> Frame:
    if raw[0] == GREETING:
        return Frame(GREETING, 0, raw)
    if raw[-1] != END:
        raise NotAmqp(f"a frame of {len(raw)} bytes ends with {raw[-1]:#x}")
    return Frame(raw[0], struct.unpack_from(">H", raw, 1)[0], raw)
