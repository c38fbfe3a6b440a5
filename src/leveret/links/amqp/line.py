"""A socket that several threads use: one may read while another writes, and each keeps its own deadline.

It never blocks by itself (a socket has one timeout, and the threads have many); who must wait waits in `poll`.
"""

import select
import socket
import threading
import time
from contextlib import nullcontext, suppress
from typing import Any

_CHUNK = 65_536


class Line:
    """Plain, or already under TLS. One thread at a time reads, one writes."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._buffer = bytearray(_CHUNK)
        self._incoming = _Poll(sock, writing=False)
        self._pending: Any = getattr(sock, "pending", None)
        self._again: tuple[type[OSError], ...] = (BlockingIOError,)
        self._turn: Any = nullcontext()
        if self._pending is not None:
            import ssl  # there already, or the socket were none of its kind

            self._again = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
            # OpenSSL's object is not made for two threads; held for the length of a call that does not wait.
            self._turn = threading.Lock()

    def read(self) -> bytes | None:
        """What is here; b"" at the end, None where it is not enough to tell (part of a TLS record)."""
        try:
            with self._turn:
                count = self._sock.recv_into(self._buffer)
        except self._again:
            return None
        return bytes(memoryview(self._buffer)[:count])

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
                if left <= 0 or not _Poll(self._sock, writing=type(error).__name__ != "SSLWantReadError").ready(left):
                    raise TimeoutError(f"{len(rest)} bytes could not be written in time") from error

    def readable(self, seconds: float) -> bool:
        """Whether a read would say something, now or within `seconds`. A closed socket is: the read then says so."""
        pending = self._pending
        try:
            if pending is not None and pending():
                return True
        except (ValueError, OSError):
            return True
        return self._incoming.ready(seconds)

    def writable(self) -> bool:
        """Whether a little would leave at once."""
        return _Poll(self._sock, writing=True).ready(0.0)

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


class _Poll:
    """Waits for one direction of a socket; used by one thread at a time."""

    def __init__(self, sock: socket.socket, *, writing: bool) -> None:
        self._sock, self._writing = sock, writing
        self._poll = select.poll() if hasattr(select, "poll") else None  # Windows has none
        if self._poll is not None:
            with suppress(ValueError, OSError):  # closed already: `ready` sees it
                self._poll.register(sock, select.POLLOUT if writing else select.POLLIN)

    def ready(self, seconds: float) -> bool:
        """Also for a socket that was closed."""
        sock, poll = self._sock, self._poll
        try:
            if sock.fileno() < 0:
                return True
            if poll is None:
                ends = ([], [sock]) if self._writing else ([sock], [])
                return any(select.select(*ends, [], max(0.0, seconds)))
            return bool(poll.poll(seconds * 1000 if seconds > 0 else 0))
        except (ValueError, OSError):
            return True
