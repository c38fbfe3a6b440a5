"""Celery's own paths for what Leveret has: a move is one search-and-replace of `celery` by `leveret.celery`."""

from leveret.app import Leveret as Celery
from leveret.client.canvas.chains import chain
from leveret.client.canvas.chords import chord
from leveret.client.canvas.groups import chunks, group, xmap, xstarmap
from leveret.client.current import current_app, current_task
from leveret.client.signature import Signature, maybe_signature, signature
from leveret.client.task import Task
from leveret.client.tasks.decorator import shared_task
from leveret.client.tasks.inside import uuid

__all__ = [
    "Celery",
    "Signature",
    "Task",
    "chain",
    "chord",
    "chunks",
    "current_app",
    "current_task",
    "group",
    "maybe_signature",
    "shared_task",
    "signature",
    "uuid",
    "xmap",
    "xstarmap",
]
