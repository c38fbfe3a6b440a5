"""Log lines as Celery users know them, written in batches off the hot path; `print` in a task becomes one."""

import io
import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO, assert_never

from leveret.logic.results import safe_repr
from leveret.model.message import Message
from leveret.model.options import WorkerOptions
from leveret.model.outcome import (
    Cancelled,
    Failed,
    Ignored,
    Outcome,
    Rejected,
    Retried,
    Snoozed,
    Succeeded,
    Unstarted,
)
from leveret.model.request import CURRENT
from leveret.ports.clock import Clock

LOGGER = "leveret.task"
PRINT_LEVEL = logging.WARNING
"""Celery's `worker_redirect_stdouts_level`."""

Write = Callable[[str], object]


class TaskLog:
    """One line per event of a task. Owned by the I/O loop; nothing is formatted while its level is off.

    `write` None hands each line to the standard logging instead (somebody else configured it).
    """

    def __init__(self, clock: Clock, *, write: Write | None = None, as_json: bool = False, process: str = "") -> None:
        logger = logging.getLogger(LOGGER)
        self.info = logger.isEnabledFor(logging.INFO)
        self.errors = logger.isEnabledFor(logging.ERROR)
        self._clock, self._write, self._json, self._process = clock, write, as_json, process
        self._logger = logger
        self._lines: list[str] = []

    def wanted(self, outcome: Outcome) -> bool:
        """Whether `ended` would write a line."""
        return self.info or (self.errors and type(outcome) in _ERRORS)

    def received(self, message: Message) -> None:
        self._add(logging.INFO, f"Task {message.task}[{message.id}] received", message, {})

    def ended(self, message: Message, outcome: Outcome, runtime: float) -> None:
        level, text, fields = _describe(message, outcome, runtime)
        if level >= logging.ERROR or self.info:
            self._add(level, text, message, fields)

    def flush(self) -> None:
        """Write everything added since the last flush, in one call."""
        if self._lines and self._write is not None:
            lines, self._lines = self._lines, []
            self._write("".join(lines))

    def _add(self, level: int, text: str, message: Message, fields: dict[str, Any]) -> None:
        if self._write is None:
            self._logger.log(level, "%s", text, extra={"task_name": message.task, "task_id": message.id, **fields})
            return
        name = logging.getLevelName(level)
        if self._json:
            self._lines.append(
                json_line(self._clock.now(), name, LOGGER, text, {"task": message.task, "id": message.id, **fields})
            )
        else:
            self._lines.append(f"[{stamp(self._clock.now())}: {name}/{self._process}] {text}\n")


_ERRORS = (Failed, Rejected)


def _describe(message: Message, outcome: Outcome, runtime: float) -> tuple[int, str, dict[str, Any]]:
    task, fields = f"Task {message.task}[{message.id}]", {"runtime": round(runtime, 6)}
    match outcome:
        case Succeeded(value):
            return logging.INFO, f"{task} succeeded in {runtime:.6g}s: {safe_repr(value)}", fields
        case Failed(error, expected):
            text = f"{error.type}({error.text!r})"
            if expected:
                return logging.INFO, f"{task} raised expected: {text}", fields
            trace = "\n" + error.traceback.rstrip() if error.traceback else ""
            return logging.ERROR, f"{task} raised unexpected: {text}{trace}", fields
        case Retried(delay=delay, error=cause):
            why = "" if cause is None else f": {cause.type}({cause.text!r})"
            return logging.INFO, f"{task} retry: Retry in {delay:g}s{why}", fields
        case Snoozed(seconds):
            return logging.INFO, f"{task} snoozed for {seconds:g}s", fields
        case Ignored():
            return logging.INFO, f"{task} ignored", fields
        case Rejected(reason, requeue):
            how = "requeued" if requeue else "parked as a dead letter"
            return logging.INFO if requeue else logging.ERROR, f"{task} rejected ({how}): {reason}", fields
        case Cancelled(reason):
            return logging.INFO, f"{task} cancelled: {reason}", fields
        case Unstarted():
            return logging.DEBUG, f"{task} given back", fields
        case other:
            assert_never(other)


def stamp(now: float) -> str:
    """Local time as the standard logging writes it: `2026-01-31 12:00:00,123`."""
    return datetime.fromtimestamp(now).isoformat(" ", "milliseconds").replace(".", ",")


def json_line(now: float, level: str, logger: str, text: str, fields: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(now).astimezone().isoformat(timespec="milliseconds")
    return json.dumps({"time": when, "level": level, "logger": logger, "message": text, **fields}, default=repr) + "\n"


class LineFormatter(logging.Formatter):
    """The standard logging in the same two shapes; a record logged inside a task names it."""

    def __init__(self, *, as_json: bool, process: str) -> None:
        super().__init__()
        self._json, self._process = as_json, process

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        request = CURRENT.get()
        if self._json:
            fields = {} if request is None else {"task": request.task, "id": request.id}
            return json_line(record.created, record.levelname, record.name, text, fields).rstrip("\n")
        task = "" if request is None else f"{request.task}[{request.id}]: "
        return f"[{stamp(record.created)}: {record.levelname}/{self._process}] {task}{text}"


class TaskPrints(io.TextIOBase):
    """Stands for stdout or stderr: inside a task each line becomes a log line, elsewhere it passes through."""

    def __init__(self, stream: TextIO, level: int = PRINT_LEVEL) -> None:
        self._stream, self._level = stream, level
        self._logger = logging.getLogger(LOGGER)

    def write(self, text: str) -> int:
        request = CURRENT.get()
        if request is None:
            return self._stream.write(text)
        # Kept on the request: threads and coroutines print at once, each its own half-written lines.
        lines = (request.__dict__.pop("_printed", "") + text).split("\n")
        if lines[-1]:
            request.__dict__["_printed"] = lines[-1]
        for line in lines[:-1]:
            if line:
                self._logger.log(self._level, "%s", line)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the standard streams have one, the abstract base says None
        return self._stream.encoding


def set_up_logging(options: WorkerOptions, clock: Clock, process: str) -> TaskLog:
    """Configure this worker process's logging: level, file, shape, prints. Called once, before the app's tasks run."""
    stream = sys.stderr if options.logfile is None else _open(options.logfile)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(as_json=options.log_json, process=process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(options.loglevel.upper())
    sys.stdout, sys.stderr = TaskPrints(sys.stdout), TaskPrints(sys.stderr)
    return TaskLog(clock, write=_writer(stream), as_json=options.log_json, process=process)


def _open(path: str) -> TextIO:
    # Open for the process's whole life; line-buffered, so that a killed process has written what it said.
    return open(path, "a", encoding="utf-8", buffering=1)


def _writer(stream: TextIO) -> Write:
    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write
