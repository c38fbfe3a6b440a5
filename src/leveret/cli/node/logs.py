"""The supervisor's own log; its worker processes set up theirs."""

import json
import logging
import sys

from leveret.config.settings import Settings
from leveret.model.options import WorkerOptions

_COLORS = {"WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[31m"}


class JsonLines(logging.Formatter):
    """One object per line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "process": record.processName,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


class Colored(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        color = _COLORS.get(record.levelname)
        return f"{color}{line}\033[0m" if color else line


def set_up_logging(settings: Settings, options: WorkerOptions, *, color: bool) -> None:
    """Send this process's log where the command line says, at its level."""
    handler = (
        logging.FileHandler(options.logfile, encoding="utf-8") if options.logfile else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(_formatter(settings, color and options.logfile is None and sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(options.loglevel)


def _formatter(settings: Settings, terminal: bool) -> logging.Formatter:
    if settings.worker_log_json:
        return JsonLines()
    colored = terminal if settings.worker_log_color is None else settings.worker_log_color
    kind = Colored if colored else logging.Formatter
    return kind(settings.worker_log_format, settings.worker_log_datefmt)
