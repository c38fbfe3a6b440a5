"""The folder a project's queue lives in when nobody names a broker: found from the app's file, never from the
current directory, so that a web process and a worker started elsewhere meet."""

from pathlib import Path

from leveret.model.endpoint import Url

MARKS = ("pyproject.toml", "manage.py", ".git")


def project_folder(file: str | Path) -> Path:
    """The nearest folder above `file` with one of `MARKS`, else the file's own folder."""
    own = Path(file).resolve().parent
    for folder in (own, *own.parents):
        if any((folder / mark).exists() for mark in MARKS):
            return folder
    return own


def embedded_broker_url(file: str | Path) -> Url:
    """`.leveret/queue.db` in the project of `file`, as a URL with its full path."""
    path = (project_folder(file) / ".leveret" / "queue.db").as_posix()
    return Url(f"sqlite:///{path}")
