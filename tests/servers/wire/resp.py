"""RESP as frames: commands one way, what answers them the other way, each under the command's name.

A script is called by its file's name (`claim`, `commit`), whether by its sha1 or by its source; any other command by its
own, in small letters. What Redis says unasked is a `push`.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files

from leveret.links.redis.scripts import script

LINES, BULKS, FEW, PAIRS = b"+-:_,#(", b"$=!", b"*~>", b"%|"
SUBSCRIBING = (b"subscribe", b"unsubscribe")
"""Answered by pushes."""


@dataclass(frozen=True, slots=True)
class RespFrame:
    """One command, reply or push as it came; `method` is its name."""

    method: str
    raw: bytes
    kind: int = 0
    channel: int = 0


class Splitter:
    """Bytes in, whole frames out; the rest waits for more."""

    def __init__(self, dialogue: "Dialogue", *, commands: bool) -> None:
        self._dialogue, self._commands = dialogue, commands
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[RespFrame]:
        self._buffer += data
        while (end := _end(self._buffer, 0)) is not None:
            raw = bytes(self._buffer[:end])
            del self._buffer[:end]
            name = self._dialogue.command(raw) if self._commands else self._dialogue.answer(raw)
            yield RespFrame(name, raw)


class Dialogue:
    """One connection: which commands have no answer yet."""

    def __init__(self) -> None:
        self._owed: deque[str] = deque()

    def command(self, raw: bytes) -> str:
        words = raw.split(b"\r\n", 5)
        verb = words[2].lower()
        name = verb.decode()
        if verb == b"evalsha":
            name = scripts().get(words[4].decode(), name)
        elif verb == b"eval":
            size = int(words[3][1:])
            source = raw[raw.index(words[3]) + len(words[3]) + 2 :][:size]
            name = scripts().get(sha1(source).hexdigest(), name)
        if verb not in SUBSCRIBING:
            self._owed.append(name)
        return name

    def answer(self, raw: bytes) -> str:
        if raw.startswith(b">") or not self._owed:
            return "push"
        return self._owed.popleft()


@cache
def scripts() -> dict[str, str]:
    """Names of our scripts by their sha1."""
    folder = files("leveret.links.redis") / "scripts"
    names = [entry.name.removesuffix(".lua") for entry in folder.iterdir() if entry.name.endswith(".lua")]
    return {script(name).sha1: name for name in names}


def _end(buffer: bytearray, at: int) -> int | None:
    """Where the frame that begins at `at` ends; None: it is not all here."""
    line = buffer.find(b"\r\n", at)
    if line < 0:
        return None
    kind, after = buffer[at], line + 2
    if kind in LINES:
        return after
    count = int(buffer[at + 1 : line])
    if kind in BULKS:
        end = after + max(count, 0) + (2 if count >= 0 else 0)
        return end if len(buffer) >= end else None
    assert kind in FEW or kind in PAIRS, f"no RESP: {bytes(buffer[at : at + 40])!r}"
    end: int | None = after
    for _ in range(2 * count if kind in PAIRS else max(count, 0)):
        end = _end(buffer, end)
        if end is None:
            return None
    return end
