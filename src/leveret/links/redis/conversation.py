"""RESP 3 without I/O: commands become bytes, bytes become answers and messages.

Law: every command has exactly one answer, and answers come in the order of the commands. SUBSCRIBE and UNSUBSCRIBE
are answered by one push for each channel (or pattern), or by an error reply in their place; here that is one answer,
None or the `Refusal`. Published messages, and news of keys that are tracked, come between answers; all else that is
pushed is passed over.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, cast

from hiredis import ProtocolError, PushNotification, Reader, pack_command

from leveret.links.redis.refusals import Refusal

Command = tuple[Any, ...]
"""A verb and its arguments: str, bytes or int."""
Message = tuple[bytes, bytes]
"""Channel, or the pattern that it matched, and payload."""

INVALIDATED = b"__redis__:invalidate"
"""The channel, so to speak, on which Redis tells of keys that changed (`CLIENT TRACKING`); the payload is the key."""
_SUBSCRIBING = frozenset(("SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE"))
_CONFIRMING = frozenset((b"subscribe", b"unsubscribe", b"psubscribe", b"punsubscribe"))
_INCOMPLETE = object()


class Conversation:
    """One connection's state. Raises `hiredis.ProtocolError` for what is no RESP or answers nothing."""

    __slots__ = ("_owed", "_reader")

    def __init__(self) -> None:
        self._reader = Reader(replyError=Refusal, notEnoughData=_INCOMPLETE)
        self._owed: deque[int] = deque()
        """For each command without an answer how many pushes that will be; 0: a reply."""

    @property
    def owed(self) -> int:
        return len(self._owed)

    def pack(self, commands: Sequence[Command]) -> bytes:
        """The bytes to send next, in one piece."""
        self._owed.extend([len(command) - 1 if command[0] in _SUBSCRIBING else 0 for command in commands])
        return b"".join([pack_command(command) for command in commands])

    def receive(self, data: bytes | bytearray, count: int | None = None) -> tuple[list[Any], list[Message]]:
        """Answers and messages that `data` completes, or its first `count` bytes, each in its order."""
        reader = self._reader
        # A reader takes any buffer, whatever its stub says.
        reader.feed(cast(bytes, data), 0, len(data) if count is None else count)
        answers: list[Any] = []
        messages: list[Message] = []
        while (value := reader.gets()) is not _INCOMPLETE:
            if type(value) is not PushNotification:
                if not self._owed:
                    raise ProtocolError(f"a reply to nothing: {value!r:.100}")
                self._owed.popleft()
                answers.append(value)
            elif value[0] == b"message":
                messages.append((value[1], value[2]))
            elif value[0] == b"pmessage":
                messages.append((value[1], value[3]))
            elif value[0] in _CONFIRMING:
                self._confirm(answers)
            elif value[0] == b"invalidate":
                messages += [(INVALIDATED, key) for key in value[1] or (b"",)]
        return answers, messages

    def _confirm(self, answers: list[Any]) -> None:
        left = self._owed[0] - 1 if self._owed else -1
        if left < 0:
            raise ProtocolError("a subscription nobody asked for")
        if left:
            self._owed[0] = left
        else:
            self._owed.popleft()
            answers.append(None)
