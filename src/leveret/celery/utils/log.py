"""`celery.utils.log`."""

import logging

from leveret.client.tasks.inside import get_task_logger

__all__ = ["get_logger", "get_task_logger"]


def get_logger(name: str) -> logging.Logger:
    """The logger of that name."""
    return logging.getLogger(name)
