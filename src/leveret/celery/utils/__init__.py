"""`celery.utils`."""

from leveret.client.tasks.inside import uuid

__all__ = ["uuid"]
