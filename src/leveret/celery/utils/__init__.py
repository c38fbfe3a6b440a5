"""`celery.utils`."""

from leveret.client.tasks.inside import uuid

gen_unique_id = uuid

__all__ = ["gen_unique_id", "uuid"]
