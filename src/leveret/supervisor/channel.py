"""The line between a supervisor and one of its worker processes: a stream socket, one JSON line per message.

The end of the stream means that the other side is gone. One thread or task reads; any thread may send. The socket is
non-blocking on both sides, so that the same object serves a blocking caller and any asyncio loop (Windows included).
"""

import select
import socket
import sys
import threading
from typing import Any, Generic, TypeVar

import msgspec

from leveret.errors import LeveretError
from leveret.model.control import FromChild, ToChild

Incoming = TypeVar("Incoming")

SEND_SECONDS = 1.0
"""A peer that has not read 100 kB of earlier lines for so long is as good as gone (SIGSTOP)."""


class ChannelClosed(LeveretError):
    """The other side of the channel is gone, or does not read."""


class Channel(Generic[Incoming]):
    """One end. `incoming` is the union of messages this end receives."""

    def __init__(self, sock: socket.socket, incoming: Any) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._buffer = bytearray()
        self._ended = False
        # Guards the order of bytes: two threads of a child may send at once.
        self._sending = threading.Lock()
        self._decoder: msgspec.json.Decoder[Incoming] = msgspec.json.Decoder(incoming)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: msgspec.Struct) -> None:
        """Write one message; raises `ChannelClosed` when nobody reads any more. Thread-safe."""
        data = memoryview(msgspec.json.encode(message) + b"\n")
        with self._sending:
            while data:
                try:
                    data = data[self._socket.send(data) :]
                except BlockingIOError:
                    if not select.select([], [self._socket], [], SEND_SECONDS)[1]:
                        raise ChannelClosed("the other process does not read") from None
                except OSError as error:
                    raise ChannelClosed(str(error)) from error

    def receive(self, timeout: float | None = None) -> Incoming | None:
        """Wait for one message; None when the other side is gone. Raises `TimeoutError` after `timeout` seconds."""
        while (line := self._line()) is None:
            if self._ended:
                return None
            if not select.select([self._socket], [], [], timeout)[0]:
                raise TimeoutError
            try:
                self._feed(self._socket.recv(65536))
            except BlockingIOError:
                continue
            except OSError:
                self._ended = True
        return self._decoder.decode(line)

    async def read(self) -> Incoming | None:
        """As `receive`, on the running loop. Cancelling loses nothing."""
        while (line := self._line()) is None:
            if self._ended:
                return None
            # Known to be loaded: we run on its loop. A child that only blocks never pays for the import.
            loop = sys.modules["asyncio"].get_running_loop()
            try:
                self._feed(await loop.sock_recv(self._socket, 65536))
            except OSError:
                self._ended = True
        return self._decoder.decode(line)

    def rest(self) -> tuple[Incoming, ...]:
        """Everything that has arrived so far, without waiting: a dead child's last words."""
        messages: list[Incoming] = []
        while True:
            try:
                message = self.receive(0)
            except TimeoutError:
                return tuple(messages)
            if message is None:
                return tuple(messages)
            messages.append(message)

    def close(self) -> None:
        self._ended = True
        self._socket.close()

    def _feed(self, data: bytes) -> None:
        self._buffer += data
        self._ended = not data

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


def child_end(sock: socket.socket) -> Channel[ToChild]:
    return Channel(sock, ToChild)


def supervisor_end(sock: socket.socket) -> Channel[FromChild]:
    return Channel(sock, FromChild)


def pair() -> tuple[Channel[FromChild], socket.socket]:
    """The supervisor's end, and the socket that goes to the child."""
    ours, theirs = socket.socketpair()
    return supervisor_end(ours), theirs
