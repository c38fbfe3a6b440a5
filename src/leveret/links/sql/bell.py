"""Bells: datagrams on the loopback that say "look again". Only ever a hint: every wait also looks by itself."""

import asyncio
import os
import select
import socket
import threading
import time
from collections.abc import Iterable

SCHEME = "udp://127.0.0.1:"
"""The only host that is ever rung: an address may come out of a message somebody else wrote."""


class Ringer:
    """Rings others. Its socket belongs to one process."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._pid = 0

    def ring(self, addresses: Iterable[str]) -> None:
        for address in addresses:
            port = port_of(address)
            if port is not None:
                self._send(port)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _send(self, port: int) -> None:
        if self._socket is None or self._pid != os.getpid():
            self.close()
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._pid = os.getpid()
        try:
            self._socket.sendto(b"!", ("127.0.0.1", port))
        except OSError:  # nobody listens, or the buffer is full: it is a hint
            return


class Bell:
    """Where this process is rung. Threads and loops of the process may wait together: whoever hears tells the rest.

    `_guard` guards the waiters and the generation.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self.pid = os.getpid()
        self.address = f"{SCHEME}{self._socket.getsockname()[1]}"
        self._guard = threading.Condition()
        self._generation = 0
        self._leader = False
        self._futures: set[asyncio.Future[None]] = set()

    @property
    def generation(self) -> int:
        """How often it rang: pass it to `wait` to miss nothing that rang after it was read."""
        self._hear()
        return self._generation

    def wait(self, since: int, timeout: float) -> None:
        """Return when it has rung since `since`, or after `timeout` seconds. Blocks the calling thread."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            with self._guard:
                if self._generation != since:
                    return
                if self._leader:
                    self._guard.wait(left)
                    continue
                self._leader = True
            try:
                select.select([self._socket], [], [], left)
                self._hear()
            finally:
                with self._guard:
                    self._leader = False
                    self._guard.notify_all()

    async def listen(self, since: int, timeout: float) -> None:
        """As `wait`, for a coroutine. Where the loop cannot watch a socket (Windows' default) it looks every 20 ms."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(timeout, _finish, future)
        with self._guard:
            self._futures.add(future)
        try:
            self._watch(loop)
            self._hear()
            if self._generation == since:
                await future
        finally:
            timer.cancel()
            with self._guard:
                self._futures.discard(future)
                alone = not any(other.get_loop() is loop for other in self._futures)
            if alone:
                _unwatch(loop, self._socket)

    def close(self) -> None:
        self._socket.close()

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.add_reader(self._socket, self._hear)
        except NotImplementedError:
            loop.call_later(0.02, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._hear()
        if any(other.get_loop() is loop for other in self._futures):
            loop.call_later(0.02, self._look, loop)

    def _hear(self) -> None:
        """Take every datagram that has come, then wake whoever waits."""
        heard = False
        try:
            while self._socket.recv(16):
                heard = True
        except (BlockingIOError, InterruptedError, ConnectionError):
            pass
        except OSError:  # closed meanwhile
            heard = True
        if heard:
            with self._guard:
                self._generation += 1
                self._guard.notify_all()
                futures = tuple(self._futures)
            for future in futures:
                _wake(future)


def port_of(address: str) -> int | None:
    """Answer the port of a bell address; None for anything else."""
    text = address.removeprefix(SCHEME)
    if text == address or not text.isdecimal() or not 0 < int(text) < 65536:
        return None
    return int(text)


def _wake(future: "asyncio.Future[None]") -> None:
    try:
        future.get_loop().call_soon_threadsafe(_finish, future)
    except RuntimeError:  # its loop is closed
        return


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _unwatch(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    try:
        loop.remove_reader(sock)
    except (NotImplementedError, ValueError):
        return
