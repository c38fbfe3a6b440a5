"""A program on Celery as a whole: its app, where Celery is installed, and its files."""

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from leveret.app import Leveret
from leveret.cli.finder import prepare_path
from leveret.cli.migrating.commands import read_commands
from leveret.cli.migrating.findings import TASK, Finding, gathered
from leveret.cli.migrating.settings import read_settings
from leveret.cli.migrating.source import read_sources
from leveret.config.table import ROWS
from leveret.errors import ImproperlyConfigured


def check(name: str | None) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Everything found, and remarks on what could not be looked at. Imports the app that `name` means."""
    folder, remarks = Path.cwd(), []
    findings: list[Finding] = []
    if name is None:
        remarks.append("no app was named (-A): only the files were read")
    else:
        try:
            findings += _of_app(name)
        except _NotCelery as error:
            remarks.append(str(error))
    findings += read_sources(folder, settings=bool(remarks))
    findings += read_commands(folder)
    return gathered(findings), tuple(remarks)


class _NotCelery(Exception):
    """There is no Celery app to read."""


def _of_app(name: str) -> Iterator[Finding]:
    app = _load(name)
    if isinstance(app, Leveret):
        raise _NotCelery(f"-A {name} is a Leveret app already: its settings are shown by `leveret config -A {name}`")
    yield from read_settings(app)
    yield from _of_tasks(app)


def _load(name: str) -> Any:
    prepare_path()
    try:
        find_app = import_module("celery.app.utils").find_app
    except ImportError:
        raise _NotCelery("Celery is not installed here: the settings of the app could not be read") from None
    # A project that is read must not be changed, not even by compiled files.
    sys.dont_write_bytecode = True
    try:
        app = find_app(name)
        if not isinstance(app, Leveret):
            app.loader.import_default_modules()
    except (Exception, SystemExit) as error:
        if os.environ.get("LEVERET__TRACEBACK"):
            raise
        raise ImproperlyConfigured(f"-A {name} does not import: {type(error).__name__}: {error}") from error
    return app


def _of_tasks(app: Any) -> Iterator[Finding]:
    for name, task in sorted(app.tasks.items()):
        if name.startswith("celery."):
            continue
        if task.rate_limit:
            limits = ROWS["task_default_rate_limit"]
            yield Finding(kind=TASK, name=name, mark=limits.mark, note=f"rate_limit={task.rate_limit!r}: {limits.note}")
