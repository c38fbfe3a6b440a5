"""A small process that imports the app once and forks worker processes from there.

The supervisor forks it before it has any thread or loop, so that memory is shared; a later one (the first died, or the
code changed) is `python -m leveret.supervisor.forkserver`. It has one thread and no loop: a selector over its line to
the supervisor and the wake-up pipe of SIGCHLD. When the line ends it exits; its children are none of its business then.
"""

import ctypes
import gc
import os
import select
import signal
import socket
import sys
import threading
from typing import Any, Final, NoReturn

import msgspec
from msgspec import Struct

from leveret.model.control import ToChild
from leveret.model.options import WorkerOptions
from leveret.signals import worker_before_create_process
from leveret.supervisor.channel import Channel
from leveret.supervisor.entry import (
    Start,
    become_child,
    describe,
    leave,
    leave_signals_to_the_supervisor,
    preload,
    reseed,
)

PACKET_BYTES: Final = 128 * 1024
_PR_SET_CHILD_SUBREAPER: Final = 36


class Fork(Struct, frozen=True, tag="fork"):
    """Start one child; its end of the channel travels beside this packet."""

    number: int
    options: WorkerOptions


class Preloaded(Struct, frozen=True, tag="preloaded"):
    """The app is imported. Any obstacle means: do not fork from here."""

    obstacles: tuple[str, ...] = ()


class ImportFailed(Struct, frozen=True, tag="import_failed"):
    """The app does not import."""

    error: str


class Forked(Struct, frozen=True, tag="forked"):
    number: int
    pid: int


class Exited(Struct, frozen=True, tag="exited"):
    """`code` as `subprocess` has it: negative for a signal."""

    pid: int
    code: int


ToForkserver = Fork | Start
FromForkserver = Preloaded | ImportFailed | Forked | Exited

_requests: msgspec.json.Decoder[ToForkserver] = msgspec.json.Decoder(ToForkserver)


def serve(line: socket.socket, entry: str, options: WorkerOptions) -> NoReturn:
    """Import, report, then fork on request until the line ends. Never returns into the stack it was called on."""
    try:
        _Forkserver(line, entry).run(options)
    except BaseException:
        # A line that breaks between two system calls is the supervisor's end, like the end of the stream.
        pass
    finally:
        os._exit(0)


def become_subreaper() -> None:
    """Adopt what our descendants orphan, so that its exit status is ours to read. Linux only; a wish elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class _Forkserver:
    def __init__(self, line: socket.socket, entry: str) -> None:
        self._line = line
        self._entry = entry
        self._app: Any = None

    def run(self, options: WorkerOptions) -> None:
        leave_signals_to_the_supervisor()
        # What is alive after the import is shared by all children: a collection would touch, and so copy, every page.
        gc.disable()
        if not self._preload(options):
            return
        gc.freeze()
        wake, wake_writer = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
        self._pipe = (wake, wake_writer)
        become_subreaper()
        while True:
            readable = select.select([self._line, wake], [], [])[0]
            if wake in readable:
                os.read(wake, 4096)
                self._collect()
            if self._line in readable and not self._answer():
                return

    def _preload(self, options: WorkerOptions) -> bool:
        sockets = set(_connected_sockets())
        try:
            self._app = preload(self._entry, options)
        except BaseException as error:
            self._send(ImportFailed(describe(error)[-PACKET_BYTES // 4 :]))
            return False
        found = obstacles(sockets)
        self._send(Preloaded(found))
        return not found

    def _answer(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._line, PACKET_BYTES, 1)
        if not data:
            return False
        request = _requests.decode(data)
        if isinstance(request, Fork):
            with socket.socket(fileno=descriptors[0]) as theirs:
                self._send(Forked(request.number, self._fork(request.options, theirs)))
        return True

    def _fork(self, options: WorkerOptions, theirs: socket.socket) -> int:
        worker_before_create_process.send(options.node.name)
        pid = os.fork()
        if pid:
            return pid
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._line.close()
            for descriptor in self._pipe:
                os.close(descriptor)
            gc.enable()
            reseed()
            channel: Channel[ToChild] = Channel(theirs, ToChild)
            code = become_child(self._entry, self._app, options, channel)
        finally:
            leave(code)
        raise AssertionError("unreachable")

    def _collect(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._send(Exited(pid, os.waitstatus_to_exitcode(status)))

    def _send(self, message: FromForkserver) -> None:
        self._line.send(msgspec.json.encode(message))


def obstacles(sockets_before: set[str]) -> tuple[str, ...]:
    """What the import left behind that a fork would break."""
    threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    found = [f"thread {name}" for name in threads]
    found += [what for inode, what in _connected_sockets().items() if inode not in sockets_before]
    if any(target.startswith("/dev/nvidia") for target in _descriptors().values()):
        found.append("CUDA context")
    return tuple(found)


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the descriptor of the listing itself
    return found


def _connected_sockets() -> dict[str, str]:
    """Inode -> what it is connected to. An unconnected or listening socket is no state shared with a peer."""
    found = {}
    for descriptor, target in _descriptors().items():
        if not target.startswith("socket:"):
            continue
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            try:
                peer = copy.getpeername()
            except OSError:
                continue
        found[target] = f"connected socket {descriptor} ({peer or 'local'})"
    return found


def main() -> None:
    """Be a forkserver that was started, not forked: the line is the descriptor named by the first argument."""
    line = socket.socket(fileno=int(sys.argv[1]))
    start = _requests.decode(line.recv(PACKET_BYTES))
    if isinstance(start, Start):
        serve(line, start.entry, start.options)


if __name__ == "__main__":
    main()
