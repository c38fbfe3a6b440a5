"""Where a program lives: its project folder, and the name of a script that runs as `__main__`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

MARKS = ("pyproject.toml", "manage.py", ".git")


def file_of(namespace: Mapping[str, Any]) -> str | None:
    """The file a module's names come from; None in a REPL, a notebook, `python -c` and `python - < script`."""
    file = namespace.get("__file__")
    return None if not file or (file.startswith("<") and file.endswith(">")) else str(file)


def project_folder(file: str | Path) -> Path:
    """The nearest folder above `file` with a `pyproject.toml`, `manage.py` or `.git`, else the file's own folder.

    Never the current directory: a web process and a worker started elsewhere must meet.
    """
    own = Path(file).resolve().parent
    for folder in (own, *own.parents):
        if any((folder / mark).exists() for mark in MARKS):
            return folder
    return own


def default_broker_url(file: str | Path) -> str:
    """The embedded queue of the project that `file` belongs to."""
    path = project_folder(file) / ".leveret" / "queue.db"
    return f"sqlite:///{path.as_posix()}" if path.drive else f"sqlite:////{path.as_posix().lstrip('/')}"


def module_name(module: str, main: str | None = None) -> str:
    """The name by which others import `module`: a script run as `__main__` is named as its file is imported."""
    if module != "__main__":
        return module
    script = sys.modules.get("__main__")
    return _imported_as(script) or main or module


def _imported_as(script: ModuleType | None) -> str | None:
    spec = getattr(script, "__spec__", None)
    if spec is not None and spec.name:
        return str(spec.name)
    file = file_of(vars(script)) if script is not None else None
    if file is None:
        return None
    path = Path(file).resolve()
    parts = [path.stem]
    for folder in path.parents:
        if not (folder / "__init__.py").exists():
            break
        parts.insert(0, folder.name)
    return ".".join(parts)
