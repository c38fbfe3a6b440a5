"""Where the file of a `sqlite:///` URL lies, and whether it may lie there."""

import errno
import os
import threading
from pathlib import Path
from urllib.parse import unquote

from leveret.errors import ImproperlyConfigured

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2"),
        *("drvfs", "glusterfs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"),
    }
)
_MOUNTS = Path("/proc/mounts")


def locate(url: str) -> Path:
    """Answer the full path: `sqlite:///file.db` is relative to the current folder, `sqlite:////var/q.db` is not."""
    _, _, rest = str(url).partition("://")
    text, _, query = rest.partition("?")
    if query:
        raise ImproperlyConfigured(f"{url}: a SQLite URL takes no options, found ?{query}")
    if not text.startswith("/") or text in ("/", "/:memory:"):
        raise ImproperlyConfigured(
            f"{url}: name a file, like sqlite:///queue.db (relative) or sqlite:////var/lib/app/queue.db; "
            "for a queue without a file use memory://"
        )
    return Path(unquote(text[1:])).expanduser().absolute()


OWN_FOLDER = ".leveret"
"""Where an app that names no broker has its file; it stands in the user's project."""


_making = threading.Lock()


def prepare(path: Path) -> None:
    """Make the folder (only its owner may enter) and an empty file (only its owner may read), where they miss.

    A file that is there is not opened: to close it would end the locks that every other connection of this process
    holds on it, and another process's last close would delete the log under them
    (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_network(path)
        if path.parent.name == OWN_FOLDER and not (path.parent / ".gitignore").exists():
            # Nobody means to commit a queue.
            (path.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        with _making:
            if not path.exists():
                _make(path)
        if path.is_dir() or not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, "it is no file that may be read and written")
    except OSError as error:
        raise ImproperlyConfigured(f"cannot use {path}: {error.strerror or error}") from error


def _make(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600))
    except FileExistsError:
        pass  # another process was quicker


def refuse_network(path: Path) -> None:
    """SQLite's locks and its shared memory do not work across a network: refuse before anything is lost."""
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    kind = file_system(os.path.realpath(path.parent), mounts)
    if kind in NETWORK_FILE_SYSTEMS:
        raise ImproperlyConfigured(
            f"{path} is on a network file system ({kind}): SQLite loses data there. "
            "Use a local folder, or a broker that serves several machines (amqp://, redis://)"
        )


def file_system(folder: str, mounts: str) -> str:
    """Answer the type of the file system `folder` is on, from the text of /proc/mounts; empty when unknown."""
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 4:
            continue
        point = fields[1].replace("\\040", " ")
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, _kind(fields[2], fields[3])
    return kind


def _kind(name: str, options: str) -> str:
    """Windows folders in WSL are 9p mounts of drvfs; other 9p mounts (gVisor's root) are local."""
    return "drvfs" if name == "9p" and "drvfs" in options else name
