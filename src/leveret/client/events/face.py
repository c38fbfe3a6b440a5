"""`app.events`, under Celery's names."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from leveret.client.events.dispatcher import EventDispatcher
from leveret.client.events.receiver import EventReceiver, OpenFeed
from leveret.client.events.state import State


class Events:
    """Of one app. `open_feed` is wiring's."""

    State = State

    def __init__(self, app: Any, open_feed: OpenFeed) -> None:
        self._app, self._open = app, open_feed

    def Receiver(self, channel: Any = None, *args: Any, **kwargs: Any) -> EventReceiver:  # noqa: N802 - Celery's name
        """`Receiver(connection, handlers={...}, routing_key="#").capture(limit=None, timeout=None, wakeup=True)`."""
        kwargs.setdefault("app", self._app)
        return EventReceiver(channel, *args, open_feed=self._open, **kwargs)

    def Dispatcher(self, *args: Any, **kwargs: Any) -> EventDispatcher:  # noqa: N802 - Celery's name
        """`Dispatcher(connection, hostname=...).send("group-what", field=...)`."""
        kwargs.setdefault("app", self._app)
        return EventDispatcher(*args, **kwargs)

    @contextmanager
    def default_dispatcher(
        self, hostname: str | None = None, enabled: bool = True, buffer_while_offline: bool = False
    ) -> Iterator[EventDispatcher]:
        """A dispatcher for the length of a block."""
        with self.Dispatcher(None, hostname, enabled, None, buffer_while_offline) as dispatcher:
            yield dispatcher
