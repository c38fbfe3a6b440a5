"""Duplicates of the worker processes' broker connections, kept by their supervisor.

A broker that gives work back when a connection ends would do so the moment a process dies, before anybody could say who
is to blame. While the supervisor holds a duplicate of the socket, the connection is open; it closes it when the charges
are known. A descriptor on its way is held by the kernel, so nothing has to be read in time.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from leveret.supervisor.options import Log

_NAME: Final = "custody"


class Custody:
    """One per node, in its run folder."""

    def __init__(self, folder: Path, log: Log) -> None:
        self._held: dict[str, socket.socket] = {}
        self._inbox: socket.socket | None = None
        if hasattr(socket, "recv_fds"):
            try:
                self._inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._inbox.bind(str(folder / _NAME))
                self._inbox.setblocking(False)
            except OSError as error:
                log("warning", "broker connections cannot be held over a death", error=error)
                self._inbox = None

    def release(self, session: str) -> None:
        """Let go of a session's connection: if its process is gone, the broker now hears of it."""
        self._collect()
        sock = self._held.pop(session, None)
        if sock is not None:
            sock.close()

    def sever(self, session: str) -> None:
        """End a connection whose process does not answer: all it held goes back."""
        self._collect()
        sock = self._held.pop(session, None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def close(self) -> None:
        self._collect()
        for sock in self._held.values():
            sock.close()
        self._held.clear()
        if self._inbox is not None:
            self._inbox.close()

    def _collect(self) -> None:
        """Take in what children have sent."""
        while self._inbox is not None:
            try:
                name, descriptors, _, _ = socket.recv_fds(self._inbox, 256, 1)
            except OSError:
                return
            for descriptor in descriptors:
                self._keep(name.decode(), descriptor)

    def _keep(self, session: str, descriptor: int) -> None:
        before = self._held.pop(session, None)
        if before is not None:
            before.close()
        try:
            self._held[session] = socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)


def entrust(folder: Path, session: str, sock: Any) -> None:
    """In a worker process: give the supervisor a duplicate of a connection's socket."""
    if not hasattr(socket, "send_fds") or sock is None:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.connect(str(folder / _NAME))
        socket.send_fds(line, [session.encode()], [sock.fileno()])
