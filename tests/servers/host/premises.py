"""A private folder and the processes that live in it; neither outlives the test run, however that ends.

Who uses the premises holds a shared lock on a file in them. A process of its own, the reaper (reaper.py), waits for
that lock: the kernel frees it when the last user is gone, by SIGKILL too, and then the reaper clears the premises.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.host.processes import kill_tree, living

ROOT = Path(__file__).parents[3]
LOCK, TENANTS = ".lock", ".tenants"


class Premises:
    """The owner's view: starts processes, ends them, clears everything."""

    def __init__(self, kind: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"leveret-{kind}-"))
        (self.folder / LOCK).touch()
        self._lock: int | None = join(self.folder)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._reaper = subprocess.Popen(
            # -S and -E: the reaper needs the standard library only, and starts in half the time.
            [sys.executable, "-S", "-E", "-m", "tests.servers.host.reaper", str(self.folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(
        self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None, *, log: Path
    ) -> "subprocess.Popen[bytes]":
        """Start a process; what it prints is added to the log."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(word) for word in command],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        tenant = living().get(process.pid)
        if tenant:
            with (self.folder / TENANTS).open("a") as tenants:
                tenants.write(f"{tenant.pid}\t{tenant.birth}\n")
        return process

    def evict(self, process: "subprocess.Popen[bytes]") -> None:
        """Kill a process and all that it started."""
        kill_tree(process.pid)
        process.wait()

    def leave(self) -> None:
        """Stop using the premises; when others use them too, the last one's leaving clears them."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def clear(self) -> None:
        """End all processes and remove the folder."""
        clear(self.folder)
        self.leave()
        # Whoever counts warnings of a test would be told of a process that another has left unwaited for.
        for process in (*self._processes, self._reaper):
            process.wait()


def tail(log: Path, lines: int = 40) -> str:
    """Answer the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def join(folder: Path) -> int:
    """Use premises that another process opened, until the descriptor is closed. OSError: they are gone or going."""
    descriptor = os.open(folder / LOCK, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def clear(folder: Path) -> None:
    """End every process that was started in the folder, then remove it."""
    tenants = folder / TENANTS
    for line in tenants.read_text().splitlines() if tenants.exists() else ():
        pid, birth = line.split("\t")
        tenant = living().get(int(pid))
        if tenant and tenant.birth == birth:
            kill_tree(tenant.pid)
    shutil.rmtree(folder, ignore_errors=True)
