"""`app.events.Dispatcher`: sends events of one's own, from callers' threads and from tasks."""

import logging
import os
import socket
import time
from collections.abc import Iterable
from typing import Any, Self

import msgspec

from leveret.client.client import Client
from leveret.errors import BrokerError
from leveret.model.telling.event import Parcel

log = logging.getLogger("leveret.events")

SEND_SECONDS = 2.0


class EventDispatcher:
    """`send("group-what", **fields)`; what cannot be sent is dropped, unless `buffer_while_offline` keeps it for
    `flush`."""

    def __init__(
        self,
        connection: Any = None,
        hostname: str | None = None,
        enabled: bool = True,
        channel: Any = None,
        buffer_while_offline: bool = True,
        app: Any = None,
        groups: Iterable[str] | None = None,
        **_: Any,
    ) -> None:
        """Celery's signature."""
        self.app, self.connection, self.enabled = app, connection, enabled
        self.hostname = hostname or f"gen{os.getpid()}@{socket.gethostname()}"
        self.groups = frozenset(groups or ())
        self.buffer_while_offline = buffer_while_offline
        self._kept: list[Parcel] = []
        self._clock = 0

    def send(self, type: str, blind: bool = False, **fields: Any) -> None:
        """Send one event; fields must be such as JSON has."""
        group = type.partition("-")[0]
        if not self.enabled or (self.groups and group not in self.groups):
            return
        now = time.time()
        self._clock = max(self._clock + 1, int(now * 1000))
        west = (time.altzone if time.localtime().tm_isdst else time.timezone) // 3600
        event = {
            "hostname": self.hostname,
            "utcoffset": west,
            "pid": os.getpid(),
            "clock": None if blind else self._clock,
            "timestamp": now,
            **{name: value for name, value in fields.items() if name not in ("retry", "retry_policy")},
            "type": type,
        }
        self._publish((Parcel(type.replace("-", "."), msgspec.json.encode(event), self.hostname),))

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """Try again what could not be sent."""
        kept, self._kept = tuple(self._kept), []
        if kept:
            self._publish(kept)

    def enable(self) -> None:
        self.enabled = True

    def disable(self) -> None:
        self.enabled = False

    def close(self) -> None:
        return

    def _publish(self, parcels: tuple[Parcel, ...]) -> None:
        client: Client = self.app.client
        bus = client.parts.events
        if bus is None:
            return
        try:
            bus.send(parcels, SEND_SECONDS)
        except BrokerError as error:
            if self.buffer_while_offline:
                self._kept += parcels
            else:
                log.warning("an event could not be sent: %s", error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
