"""Exit statuses: whoever was the parent, the supervisor learns how a process ended."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Final

_STATUS_SECONDS: Final = 1.0
"""A dead forkserver takes the statuses it had collected along; do not wait for them longer."""
_POLL_SECONDS: Final = 0.1

Poll = Callable[[], int | None]


class Statuses:
    """Codes are `subprocess`'s: negative for a signal. The loop owns it."""

    def __init__(self) -> None:
        self._codes: dict[int, int] = {}

    def tell(self, pid: int, code: int) -> None:
        """The forkserver collected one of its children."""
        self._codes[pid] = code

    async def wait(self, pid: int, poll: Poll | None = None) -> int | None:
        """Return when the process has ended: its code, or None where nobody can know it.

        `poll` is `Popen.poll` of a process that we started ourselves.
        """
        await self._gone(pid, poll)
        deadline = asyncio.get_running_loop().time() + _STATUS_SECONDS
        while (code := poll() if poll else self._collect(pid)) is None:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.005)
        self._codes.pop(pid, None)
        return code

    def sweep(self, known: Callable[[int], bool]) -> None:
        """Collect what our descendants orphaned (we are their subreaper); keep the codes of processes we wait for."""
        if not hasattr(os, "waitid"):
            return
        with contextlib.suppress(ChildProcessError):
            # Look first, take later: a spawned child belongs to its Popen.
            while (info := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if known(info.si_pid):
                    return
                os.waitpid(info.si_pid, os.WNOHANG)

    async def _gone(self, pid: int, poll: Poll | None) -> None:
        """By pidfd where there is one (at once), by polling elsewhere. End-of-file would be late: a grandchild may hold
        the channel open."""
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except (AttributeError, OSError):
            # No event tells: polling is all there is.
            while (poll() is None) if poll else (self._collect(pid) is None and _alive(pid)):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
            return
        loop = asyncio.get_running_loop()
        dead: asyncio.Future[None] = loop.create_future()
        loop.add_reader(descriptor, lambda: None if dead.done() else dead.set_result(None))
        try:
            await dead
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def _collect(self, pid: int) -> int | None:
        """Of our own or adopted children; the forkserver tells of its own."""
        if not hasattr(os, "WNOHANG"):
            return self._codes.get(pid)
        with contextlib.suppress(ChildProcessError):
            collected, status = os.waitpid(pid, os.WNOHANG)
            if collected:
                self._codes[pid] = os.waitstatus_to_exitcode(status)
        return self._codes.get(pid)


def _alive(pid: int) -> bool:
    """POSIX only: on Windows signal 0 is Ctrl-C."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def kill(pid: int, number: int | None = None) -> None:
    """Signal a process that may be gone; SIGKILL, or what Windows has for it, by default."""
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGTERM if number is None and not hasattr(signal, "SIGKILL") else number or signal.SIGKILL)
