"""A socket that several threads use: one may read while another writes, and each keeps its own deadline.

It never blocks by itself (a socket has one timeout, and the threads have many); who must wait waits in `poll`.
"""

import select
import socket
import threading
import time
from contextlib import nullcontext, suppress
from typing import Any

_CHUNK = 262_144


class Line:
    """Plain, or already under TLS."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._again: tuple[type[OSError], ...] = (BlockingIOError,)
        self._turn: Any = nullcontext()
        if hasattr(sock, "pending"):
            import ssl  # there already, or the socket were none of its kind

            self._again = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
            # OpenSSL's object is not made for two threads; held for the length of a call that does not wait.
            self._turn = threading.Lock()

    def read(self) -> bytes | None:
        """What is here; b"" at the end, None where it is not enough to tell (part of a TLS record)."""
        try:
            with self._turn:
                return self._sock.recv(_CHUNK)
        except self._again:
            return None

    def write(self, data: bytes, deadline: float) -> None:
        """All of it. Raises `TimeoutError` at the deadline, when part of it may be gone."""
        rest = memoryview(data)
        while rest:
            try:
                with self._turn:
                    rest = rest[self._sock.send(rest) :]
            except self._again as error:
                left = deadline - time.monotonic()
                # TLS may want to hear something before it says more.
                if left <= 0 or not _ready(self._sock, left, writing=type(error).__name__ != "SSLWantReadError"):
                    raise TimeoutError(f"{len(rest)} bytes could not be written in time") from error

    def readable(self, seconds: float) -> bool:
        """Whether a read would say something, now or within `seconds`. A closed socket is: the read then says so."""
        pending = getattr(self._sock, "pending", None)
        try:
            if pending is not None and pending():
                return True
        except (ValueError, OSError):
            return True
        return _ready(self._sock, seconds)

    def writable(self) -> bool:
        """Whether a little would leave at once."""
        return _ready(self._sock, 0.0, writing=True)

    def close(self) -> None:
        with suppress(OSError):
            # Another thread may be waiting in poll: closing alone would leave it there until its deadline.
            self._sock.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._sock.close()

    def let_go(self) -> None:
        """In a forked child: the connection goes on in the parent, so not a word on it (TLS would say goodbye)."""
        with suppress(OSError):
            socket.close(self._sock.detach())


def _ready(sock: socket.socket, seconds: float, *, writing: bool = False) -> bool:
    """Also for a socket that was closed."""
    try:
        if not hasattr(select, "poll"):  # Windows
            return any(select.select([] if writing else [sock], [sock] if writing else [], [], max(0.0, seconds)))
        poll = select.poll()
        poll.register(sock, select.POLLOUT if writing else select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))
    except (ValueError, OSError):
        return True
