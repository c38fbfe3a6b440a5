"""Duplicates of the worker processes' broker connections, kept by their supervisor.

A broker that gives work back when a connection ends would do so the moment a process dies, before anybody could say who
is to blame. While the supervisor holds a duplicate of the socket, the connection is open; it closes it when the charges
are known. A descriptor on its way is held by the kernel, so nothing has to be read in time: each comes on a connection
of its own, and a thousand may wait. (Of datagrams only ten may, `net.unix.max_dgram_qlen`: the twelfth process stood
still before it had begun.)
"""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from leveret.supervisor.options import Log

_NAME: Final = "custody"
_WAITING: Final = 1024
_ENTRUST_SECONDS: Final = 1.0


class Custody:
    """One per node, in its run folder."""

    def __init__(self, folder: Path, log: Log) -> None:
        self._held: dict[str, socket.socket] = {}
        self._lines: list[socket.socket] = []
        """On which a descriptor is on its way."""
        self._inbox: socket.socket | None = None
        if hasattr(socket, "recv_fds"):
            inbox = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                inbox.bind(str(folder / _NAME))
                inbox.listen(_WAITING)
                inbox.setblocking(False)
                self._inbox = inbox
            except OSError as error:
                inbox.close()
                log("warning", "broker connections cannot be held over a death", error=error)

    def release(self, session: str) -> None:
        """Let go of a session's connection: if its process is gone, the broker now hears of it."""
        self.collect()
        sock = self._held.pop(session, None)
        if sock is not None:
            sock.close()

    def sever(self, session: str) -> None:
        """End a connection whose process does not answer: all it held goes back."""
        self.collect()
        sock = self._held.pop(session, None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def close(self) -> None:
        self.collect()
        for sock in (*self._held.values(), *self._lines):
            sock.close()
        self._held.clear()
        self._lines.clear()
        if self._inbox is not None:
            self._inbox.close()
            self._inbox = None

    def collect(self) -> None:
        """Take in what children have sent. Call it from time to time: the one a process had before is let go of only
        then, and a broker believes in it for as long."""
        while self._inbox is not None:
            try:
                line, _ = self._inbox.accept()
            except OSError:
                break
            line.setblocking(False)
            self._lines.append(line)
        self._lines = [line for line in self._lines if not self._receive(line)]

    def _receive(self, line: socket.socket) -> bool:
        """Whether that is over."""
        try:
            name, descriptors, _, _ = socket.recv_fds(line, 256, 1)
        except BlockingIOError:
            return False
        except OSError:
            name, descriptors = b"", []
        line.close()
        for descriptor in descriptors:
            self._keep(name.decode("utf-8", "replace"), descriptor)
        return True

    def _keep(self, session: str, descriptor: int) -> None:
        before = self._held.pop(session, None)
        if before is not None:
            before.close()
        # `recv_fds` takes flags and passes none on: a program started from here would hold the connection open.
        os.set_inheritable(descriptor, False)
        try:
            self._held[session] = socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)


def entrust(folder: Path, session: str, sock: Any) -> None:
    """In a worker process: give the supervisor a duplicate of a connection's socket."""
    if not hasattr(socket, "send_fds") or sock is None:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(_ENTRUST_SECONDS)
        line.connect(str(folder / _NAME))
        socket.send_fds(line, [session.encode()], [sock.fileno()])
