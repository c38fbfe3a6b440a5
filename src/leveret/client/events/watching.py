"""The half of an app that watches: `app.events`, `app.connection()`."""

from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leveret.client.events.connection import Connection
    from leveret.client.events.face import Events


class Watching:
    """A base of the app. `_watching` is what opens things: `wiring.events`, which an app imports when it is asked."""

    conf: Any

    @property
    def _watching(self) -> Any:
        raise NotImplementedError

    @cached_property
    def events(self) -> "Events":
        """Events, as Celery's: `Receiver`, `State`, `Dispatcher`."""
        # By name, here and below: a program that only sends tasks never loads them.
        made: Events = import_module("leveret.client.events.face").Events(self, self._watching.open_feed)
        return made

    def connection(self, url: str | None = None, **_: Any) -> "Connection":
        """Which broker is meant, for those who watch it: `with app.connection() as connection: ...`."""
        wired = self._watching
        settings = wired.with_broker(self.conf.settings, url)
        kind = import_module("leveret.client.events.connection").Connection
        made: Connection = kind(wired.required_broker_url(settings), settings, wired.reach)
        return made

    connection_for_read = connection_for_write = connection
