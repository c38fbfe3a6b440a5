"""`celery.contrib.django.task`: every task has `delay_on_commit`."""

from leveret.client.task import Task as DjangoTask

__all__ = ["DjangoTask"]
