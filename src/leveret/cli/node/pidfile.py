"""A file with the supervisor's process id, for init scripts; refused while another live process is in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leveret.errors import ImproperlyConfigured


@contextmanager
def pidfile(path: str | None) -> Iterator[None]:
    """Hold the file for as long as the worker runs; without a path do nothing."""
    if not path:
        yield
        return
    file = Path(path)
    _take(file)
    try:
        yield
    finally:
        if _owner(file) == os.getpid():
            file.unlink(missing_ok=True)


def _take(file: Path) -> None:
    owner = _owner(file)
    if owner is not None and owner != os.getpid() and _alive(owner):
        raise ImproperlyConfigured(f"--pidfile {file} belongs to process {owner}, which is alive")
    try:
        # A stale one goes first: creating must fail where another process creates it at the same moment.
        file.unlink(missing_ok=True)
        with file.open("x") as handle:
            handle.write(f"{os.getpid()}\n")
    except OSError as error:
        raise ImproperlyConfigured(f"--pidfile {file} cannot be written: {error.strerror}") from error


def _owner(file: Path) -> int | None:
    try:
        return int(file.read_text().strip())
    except (OSError, ValueError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
