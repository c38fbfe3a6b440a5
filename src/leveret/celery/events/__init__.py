"""`celery.events`."""

from leveret.client.events.dispatcher import EventDispatcher
from leveret.client.events.receiver import EventReceiver

__all__ = ["EventDispatcher", "EventReceiver"]
