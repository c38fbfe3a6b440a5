"""Where children come from: forked by our forkserver, or spawned as fresh interpreters."""

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from leveret.errors import LeveretError
from leveret.model.control import FromChild
from leveret.model.options import WorkerOptions
from leveret.supervisor.channel import Channel, supervisor_end
from leveret.supervisor.entry import ADDRESS, Start
from leveret.supervisor.forkserver import (
    PACKET_BYTES,
    Exited,
    Fork,
    Forked,
    FromForkserver,
    ImportFailed,
    Preloaded,
    serve,
)
from leveret.supervisor.statuses import Poll


class ForkserverLost(LeveretError):
    """The forkserver died; its children go on."""


class AppDoesNotImport(LeveretError):
    """The forkserver (or a spawned child) could not import the app; the message is the traceback."""


class Launched(Struct, frozen=True):
    """A process that was started. `poll` is set where it is our own child."""

    pid: int
    channel: Channel[FromChild]
    poll: Poll | None = None


def can_fork() -> bool:
    """macOS forks too, but its frameworks do not survive it."""
    return sys.platform == "linux" and hasattr(os, "fork") and hasattr(socket, "send_fds")


class Forkserver:
    """The supervisor's handle of one forkserver process. Made before the loop (`fork`) or later (`start`)."""

    def __init__(self, line: socket.socket, pid: int) -> None:
        line.setblocking(False)
        self.pid = pid
        self._line = line
        self._number = 0
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._preloaded: asyncio.Future[tuple[str, ...]] | None = None
        self._lost = False
        self._decoder: msgspec.json.Decoder[FromForkserver] = msgspec.json.Decoder(FromForkserver)

    @classmethod
    def fork(cls, entry: str, options: WorkerOptions) -> "Forkserver":
        """Fork one out of this process, which must have no thread and no loop."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            ours.close()
            serve(theirs, entry, options)
        theirs.close()
        return cls(ours, pid)

    @classmethod
    def start(cls, entry: str, options: WorkerOptions) -> "Forkserver":
        """Start one as a fresh interpreter."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = _python("leveret.supervisor.forkserver", str(theirs.fileno()), pass_fds=(theirs.fileno(),))
        ours.send(msgspec.json.encode(Start(entry, options)))
        # The exit status of a forkserver interests nobody; the supervisor's sweep collects it.
        process.returncode = 0
        return cls(ours, process.pid)

    def listen(self, told: Callable[[int, int], None], on_lost: Callable[[], None]) -> None:
        """Read it on the running loop; `told(pid, code)` for each child that ended, `on_lost()` when it died."""
        loop = asyncio.get_running_loop()
        self._preloaded = loop.create_future()
        self._told, self._on_lost = told, on_lost
        loop.add_reader(self._line, self._hear)

    async def preloaded(self) -> tuple[str, ...]:
        """Wait for the import; answers the obstacles to forking. Raises `AppDoesNotImport` or `ForkserverLost`."""
        assert self._preloaded is not None, "call listen() first"
        return await asyncio.shield(self._preloaded)

    async def launch(self, options: WorkerOptions) -> Launched:
        if self._lost:
            raise ForkserverLost("the forkserver died")
        ours, theirs = socket.socketpair()
        self._number += 1
        reply = self._waiting[self._number] = asyncio.get_running_loop().create_future()
        try:
            with theirs:
                request = msgspec.json.encode(Fork(self._number, options))
                socket.send_fds(self._line, [request], [theirs.fileno()])
            return Launched(await reply, supervisor_end(ours))
        except BaseException as error:
            ours.close()
            if not isinstance(error, OSError):
                raise
            self._lose()
            raise ForkserverLost(str(error)) from error

    def last_words(self) -> str:
        """Why it could not import the app, of one that has ended and was never listened to; empty: it did not say."""
        try:
            message = self._decoder.decode(self._line.recv(PACKET_BYTES))
        except (OSError, msgspec.DecodeError):
            return ""
        return message.error if isinstance(message, ImportFailed) else ""

    @property
    def lost(self) -> bool:
        return self._lost

    def close(self) -> None:
        self._lose()

    def _hear(self) -> None:
        try:
            data = self._line.recv(PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            self._on_lost()
            return
        message = self._decoder.decode(data)
        assert self._preloaded is not None
        match message:
            case Preloaded(obstacles):
                self._preloaded.set_result(obstacles)
            case ImportFailed(error):
                self._preloaded.set_exception(AppDoesNotImport(error))
            case Forked(number, pid):
                reply = self._waiting.pop(number)
                if not reply.done():
                    reply.set_result(pid)
            case Exited(pid, code):
                self._told(pid, code)

    def _lose(self) -> None:
        if self._lost:
            return
        self._lost = True
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop().remove_reader(self._line)
        self._line.close()
        waiting, self._waiting = self._waiting, {}
        futures: list[asyncio.Future[Any]] = list(waiting.values())
        if self._preloaded is not None:
            futures.append(self._preloaded)
        for future in futures:
            if not future.done():
                future.set_exception(ForkserverLost("the forkserver died"))
                future.exception()  # nobody may be waiting


class Spawner:
    """Starts each child as a fresh interpreter; needs nothing of POSIX."""

    def __init__(self, entry: str, *, by_loopback: bool = not hasattr(socket, "AF_UNIX")) -> None:
        self._entry = entry
        self._by_loopback_only = by_loopback

    async def launch(self, options: WorkerOptions) -> Launched:
        channel, process = await (self._by_loopback() if self._by_loopback_only else self._by_pair())
        channel.send(Start(self._entry, options))
        return Launched(process.pid, channel, process.poll)

    async def _by_pair(self) -> tuple[Channel[FromChild], "subprocess.Popen[bytes]"]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = _python("leveret.supervisor.entry", pass_fds=(theirs.fileno(),), channel=f"fd:{theirs.fileno()}")
        return supervisor_end(ours), process

    async def _by_loopback(self) -> tuple[Channel[FromChild], "subprocess.Popen[bytes]"]:
        loop = asyncio.get_running_loop()
        token = secrets.token_hex(16)
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            process = _python("leveret.supervisor.entry", channel=f"tcp:{server.getsockname()[1]}:{token}")
            async with asyncio.timeout(30):
                while True:
                    sock, _ = await loop.sock_accept(server)
                    sock.setblocking(False)
                    if await _says(sock, token.encode() + b"\n"):
                        return supervisor_end(sock), process
                    sock.close()


async def _says(sock: socket.socket, expected: bytes) -> bool:
    """Anybody on this machine may connect; only our child knows the token."""
    heard = b""
    while len(heard) < len(expected):
        data = await asyncio.get_running_loop().sock_recv(sock, len(expected) - len(heard))
        if not data:
            return False
        heard += data
    return secrets.compare_digest(heard, expected)


def _python(
    module: str, *arguments: str, pass_fds: tuple[int, ...] = (), channel: str | None = None
) -> "subprocess.Popen[bytes]":
    # The same interpreter flags (-O, -X, -W ...) as ours, as multiprocessing does it.
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # private, used by multiprocessing
    environment = {**os.environ, ADDRESS: channel} if channel else None
    command = [sys.executable, *flags, "-m", module, *arguments]
    return subprocess.Popen(command, pass_fds=pass_fds, stdin=subprocess.DEVNULL, env=environment)
