"""The child's side of being started: make a fresh process out of a forked or spawned one, then call the entry.

`python -m leveret.supervisor.entry` is the spawn path; the forkserver calls `become_child` after its fork.
"""

import atexit
import contextlib
import faulthandler
import os
import random
import signal
import socket
import sys
from importlib import import_module
from traceback import format_exception
from typing import Any, Final, cast

from msgspec import Struct

from leveret.model.control import Broken, ToChild
from leveret.model.options import WorkerOptions
from leveret.supervisor.channel import Channel, ChannelClosed

ADDRESS: Final = "LEVERET_CHANNEL"
"""`fd:<number>` on POSIX, `tcp:<port>:<token>` elsewhere."""

_SIGNALS_OF_THE_NODE: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")


class Start(Struct, frozen=True, tag="start"):
    """The first line a spawned child (or a started forkserver) gets."""

    entry: str
    options: WorkerOptions


def become_child(entry: str, app: Any, options: WorkerOptions, channel: Channel[ToChild]) -> int:
    """Run the entry in this process; answers its exit code. Nothing raised by it escapes."""
    leave_signals_to_the_supervisor()
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    # 2 MB that the supervisor has no use for.
    multiprocessing = import_module("multiprocessing")
    if multiprocessing.get_start_method(allow_none=True) is None:
        # A child has an I/O thread: a fork of it by multiprocessing could inherit a held lock.
        multiprocessing.set_start_method("spawn")
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: _become_foreign(channel))
    try:
        return int(import_module(entry).run(app, options, channel))
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException as error:
        _tell(channel, Broken(describe(error), permanent=False))
        return 1


def preload(entry: str, options: WorkerOptions) -> Any:
    """Import the entry and the app."""
    return import_module(entry).preload(options)


def describe(error: BaseException) -> str:
    """The traceback as text: import errors must reach a terminal whole."""
    return "".join(format_exception(error)).rstrip()


def leave_signals_to_the_supervisor() -> None:
    """Ctrl-C and systemd signal the whole group, but only the supervisor decides. A handler that does nothing, and not
    SIG_IGN: that one would be inherited by what a task executes, and make it deaf to `terminate()`."""
    for name in _SIGNALS_OF_THE_NODE:
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, _do_nothing)


def reseed() -> None:
    """Give a forked process its own dice."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):
        numpy.random.seed()


def leave(code: int) -> None:
    """End a forked process: exit handlers and buffers, but not the stack it was forked on."""
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def _do_nothing(*_: object) -> None:
    return None


def _become_foreign(channel: Channel[ToChild]) -> None:
    """Anything a task forks is not ours: it must neither hold our line open nor shrug off signals."""
    channel.close()
    with contextlib.suppress(ValueError):
        for name in _SIGNALS_OF_THE_NODE:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is _do_nothing:
                signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)


def _tell(channel: Channel[ToChild], message: Broken) -> None:
    with contextlib.suppress(ChannelClosed):
        channel.send(message)


def _connect(address: str) -> socket.socket:
    kind, _, rest = address.partition(":")
    if kind == "fd":
        return socket.socket(fileno=int(rest))
    port, _, token = rest.partition(":")
    sock = socket.create_connection(("127.0.0.1", int(port)))
    sock.sendall(token.encode() + b"\n")
    return sock


def main() -> int:
    """Be a spawned child."""
    channel: Channel[ToChild | Start] = Channel(_connect(os.environ.pop(ADDRESS)), ToChild | Start)
    start = channel.receive()
    if not isinstance(start, Start):
        return 1
    line = cast("Channel[ToChild]", channel)
    leave_signals_to_the_supervisor()
    try:
        app = preload(start.entry, start.options)
    except BaseException as error:
        _tell(line, Broken(describe(error), permanent=True))
        return 1
    return become_child(start.entry, app, start.options, line)


if __name__ == "__main__":
    # Non-daemon threads of user code must not keep a finished child alive: leave as a forked child does.
    leave(main())
