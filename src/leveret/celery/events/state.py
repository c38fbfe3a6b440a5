"""`celery.events.state`."""

from leveret.client.events.rows import Task, Worker, heartbeat_expires
from leveret.client.events.state import State

__all__ = ["State", "Task", "Worker", "heartbeat_expires"]
