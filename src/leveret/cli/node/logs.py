"""The supervisor's own log; its worker processes set up theirs."""

import json
import logging
import sys

from leveret.config.settings import LOG_FORMAT, TASK_LOG_FORMAT, Settings
from leveret.model.options import LogOptions, WorkerOptions

_COLORS = {"DEBUG": "\033[34m", "WARNING": "\033[33m", "ERROR": "\033[31m", "CRITICAL": "\033[35m"}
_NO_TASK = {"task_name": "???", "task_id": "???"}


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


def log_options(settings: Settings, *, terminal: bool) -> LogOptions:
    """What worker processes are told; `terminal` says whether their lines go to one."""

    def own(value: str, default: str) -> str | None:
        return None if value == default else value

    return LogOptions(
        format=own(settings.worker_log_format, LOG_FORMAT),
        datefmt=settings.worker_log_datefmt,
        task_format=own(settings.worker_task_log_format, TASK_LOG_FORMAT),
        task_datefmt=settings.worker_task_log_datefmt,
        color=terminal if settings.worker_log_color is None else settings.worker_log_color,
        redirect_stdouts=settings.worker_redirect_stdouts,
        redirect_level=settings.worker_redirect_stdouts_level,
        hijack_root_logger=settings.worker_hijack_root_logger,
    )


def set_up_logging(settings: Settings, options: WorkerOptions) -> None:
    """Send this process's log where the command line says, at its level."""
    handler = (
        logging.FileHandler(options.logfile, encoding="utf-8") if options.logfile else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(_formatter(settings, options.log.color))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(options.loglevel)


def _formatter(settings: Settings, color: bool) -> logging.Formatter:
    if settings.worker_log_json:
        return JsonLines()
    kind = Colored if color else logging.Formatter
    return kind(settings.worker_log_format, settings.worker_log_datefmt, defaults=_NO_TASK)
