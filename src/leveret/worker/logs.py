"""Log lines as Celery users know them, written in batches off the hot path; `print` in a task becomes one."""

import io
import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TextIO, assert_never

from leveret.logic.wire.events import shown
from leveret.logic.wire.reprs import safe_repr
from leveret.model.message import Message
from leveret.model.options import LogOptions, WorkerOptions
from leveret.model.outcome import (
    Cancelled,
    Failed,
    Ignored,
    Outcome,
    Rejected,
    Replaced,
    Retried,
    Snoozed,
    Succeeded,
    Unstarted,
)
from leveret.model.request import CURRENT
from leveret.ports.clock import Clock
from leveret.signals import after_setup_logger, after_setup_task_logger, setup_logging

LOGGER = "leveret.task"
LINE = "[%(asctime)s: %(levelname)s/%(processName)s] %(message)s"
TASK_LINE = "[%(asctime)s: %(levelname)s/%(processName)s] %(task_name)s[%(task_id)s]: %(message)s"
NO_TASK = {"task_name": "???", "task_id": "???"}
"""As Celery: what a format that names the task says outside of one."""

Write = Callable[[str], object]
Fields = dict[str, Any]

_COLORS = {"DEBUG": "34", "WARNING": "33", "ERROR": "31", "CRITICAL": "35"}


class TaskLog:
    """One line per event of a task. Owned by the I/O loop; nothing is formatted while its level is off.

    `write` None hands each line to the standard logging instead (somebody else configured it).
    """

    def __init__(self, clock: Clock, *, write: Write | None = None, shape: "LineFormatter | None" = None) -> None:
        logger = logging.getLogger(LOGGER)
        self.info = logger.isEnabledFor(logging.INFO)
        self.errors = logger.isEnabledFor(logging.ERROR)
        self._clock, self._write, self._shape = clock, write, shape or LineFormatter()
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

    def _add(self, level: int, text: str, message: Message, fields: Fields) -> None:
        if self._write is None:
            self._logger.log(level, "%s", text, extra={"task_name": message.task, "task_id": message.id, **fields})
            return
        self._lines.append(self._shape.event(self._clock.now(), logging.getLevelName(level), text, message, fields))


_ERRORS = (Failed, Rejected)


def _describe(message: Message, outcome: Outcome, runtime: float) -> tuple[int, str, Fields]:
    task, fields = f"Task {message.task}[{message.id}]", {"runtime": round(runtime, 6)}
    match outcome:
        case Succeeded(value):
            return logging.INFO, f"{task} succeeded in {runtime:.6g}s: {safe_repr(value)}", fields
        case Failed(error, expected):
            text = shown(error)
            if expected:
                return logging.INFO, f"{task} raised expected: {text}", fields
            trace = "\n" + error.traceback.rstrip() if error.traceback else ""
            return logging.ERROR, f"{task} raised unexpected: {text}{trace}", fields
        case Retried(delay=delay, error=cause):
            why = "" if cause is None else f": {shown(cause)}"
            return logging.INFO, f"{task} retry: Retry in {delay:g}s{why}", fields
        case Replaced(spec):
            return logging.INFO, f"{task} replaced by {spec.task}", fields
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


def json_line(now: float, level: str, logger: str, text: str, fields: Fields) -> str:
    when = datetime.fromtimestamp(now).astimezone().isoformat(timespec="milliseconds")
    return json.dumps({"time": when, "level": level, "logger": logger, "message": text, **fields}, default=repr) + "\n"


class LineFormatter(logging.Formatter):
    """Log lines in Celery's shape or as JSON objects; a record logged inside a task names it.

    Written out by hand: it takes a quarter of the time of the standard library's formatting.
    """

    def __init__(self, *, as_json: bool = False, process: str = "", color: bool = False) -> None:
        super().__init__()
        self._json, self._process, self._color = as_json, process, color and not as_json

    def event(self, now: float, level: str, text: str, message: Message, fields: Fields) -> str:
        """The line of a `TaskLog`, with its end."""
        if self._json:
            about = {"process": self._process, "task": message.task, "id": message.id, **fields}
            return json_line(now, level, LOGGER, text, about)
        line = f"[{stamp(now)}: {level}/{self._process}] {text}"
        return f"{colored(level, line)}\n" if self._color else f"{line}\n"

    def format(self, record: logging.LogRecord) -> str:
        request = CURRENT.get()
        text = self._text(record)
        if self._json:
            about = {} if request is None else {"task": request.task, "id": request.id}
            about["process"] = self._process
            return json_line(record.created, record.levelname, record.name, text, about).rstrip("\n")
        task = "" if request is None else f"{request.task}[{request.id}]: "
        line = f"[{stamp(record.created)}: {record.levelname}/{self._process}] {task}{text}"
        return colored(record.levelname, line) if self._color else line

    def _text(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return f"{text}\n{self.formatStack(record.stack_info)}" if record.stack_info else text


class StyledFormatter(LineFormatter):
    """Log lines in the formats of the settings: one for lines logged inside a task, one for all others."""

    def __init__(self, log: LogOptions, process: str) -> None:
        super().__init__(process=process, color=log.color)
        self._plain = logging.Formatter(log.format or LINE, log.datefmt, defaults=NO_TASK)
        self._task = logging.Formatter(log.task_format or TASK_LINE, log.task_datefmt, defaults=NO_TASK)

    def event(self, now: float, level: str, text: str, message: Message, fields: Fields) -> str:
        about = {"name": LOGGER, "levelname": level, "levelno": logging.getLevelName(level), "msg": text}
        record = logging.makeLogRecord({**about, "task_name": message.task, "task_id": message.id, **fields})
        # The time of the event; made the record when it was written.
        record.created, record.msecs = now, int(now % 1 * 1000) + 0.0
        return self._finished(self._plain, record) + "\n"

    def format(self, record: logging.LogRecord) -> str:
        request = CURRENT.get()
        if request is None:
            return self._finished(self._plain, record)
        record.task_name, record.task_id = request.task, request.id
        return self._finished(self._task, record)

    def _finished(self, formatter: logging.Formatter, record: logging.LogRecord) -> str:
        record.processName = self._process
        line = formatter.format(record)
        return colored(record.levelname, line) if self._color else line


def colored(level: str, line: str) -> str:
    """The line in the color of its level (Celery's)."""
    color = _COLORS.get(level)
    return f"\033[{color}m{line}\033[0m" if color else line


def line_formatter(options: WorkerOptions, process: str) -> LineFormatter:
    """The fast one, unless the settings ask for a format of their own. JSON lines have no format."""
    log = options.log
    own = log.format or log.datefmt or log.task_format or log.task_datefmt
    if own and not options.log_json:
        return StyledFormatter(log, process)
    return LineFormatter(as_json=options.log_json, process=process, color=log.color)


class TaskPrints(io.TextIOBase):
    """Stands for stdout or stderr: inside a task each line becomes a log line, elsewhere it passes through."""

    def __init__(self, stream: TextIO, level: int = logging.WARNING) -> None:
        self._stream, self._level = stream, level
        self._logger = logging.getLogger(LOGGER)

    def write(self, text: str) -> int:
        request = CURRENT.get()
        # A handler made inside a task writes what is logged to us: that must not be logged again.
        if request is None or "_printing" in request.__dict__:
            return self._stream.write(text)
        # Kept on the request: threads and coroutines print at once, each its own half-written lines.
        lines = (request.__dict__.pop("_printed", "") + text).split("\n")
        if lines[-1]:
            request.__dict__["_printed"] = lines[-1]
        request.__dict__["_printing"] = True
        try:
            for line in filter(None, lines[:-1]):
                self._logger.log(self._level, "%s", line)
        finally:
            del request.__dict__["_printing"]
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
    """Configure this worker process's logging: level, file, shape, prints. Called once, before the app's tasks run.

    The app's own handlers on the root logger stay where the settings say so: they get every line then.
    """
    log, shape, root = options.log, line_formatter(options, process), logging.getLogger()
    write = None
    given: Fields = {"loglevel": options.loglevel, "logfile": options.logfile}
    given |= {"format": log.format or LINE, "colorize": log.color}
    if setup_logging.receivers and setup_logging.send(None, **given):
        # Somebody configures logging: nothing of it is ours then.
        return TaskLog(clock)
    if log.hijack_root_logger or not root.handlers:
        stream = sys.stderr if options.logfile is None else _open(options.logfile)
        handler, write = logging.StreamHandler(stream), _writer(stream)
        handler.setFormatter(shape)
        root.handlers[:] = [handler]
    root.setLevel(options.loglevel.upper())
    after_setup_logger.send(None, logger=root, **given)
    after_setup_task_logger.send(None, logger=logging.getLogger(LOGGER), **given)
    if log.redirect_stdouts:
        level = logging.getLevelNamesMapping()[log.redirect_level]
        sys.stdout, sys.stderr = TaskPrints(sys.stdout, level), TaskPrints(sys.stderr, level)
    return TaskLog(clock, write=write, shape=shape)


def _open(path: str) -> TextIO:
    # Open for the process's whole life; line-buffered, so that a killed process has written what it said.
    return open(path, "a", encoding="utf-8", buffering=1)


def _writer(stream: TextIO) -> Write:
    def write(text: str) -> None:
        stream.write(text)
        stream.flush()

    return write
