"""`celery.app.task`."""

from leveret.client.task import Task

__all__ = ["Task"]
