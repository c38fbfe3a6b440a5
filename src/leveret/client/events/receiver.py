"""`app.events.Receiver`: hears events and hands each to its handler."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import msgspec

from leveret.client.events.connection import Connection
from leveret.client.loops import running_loop
from leveret.model.telling.event import Parcel
from leveret.ports.operations.events import EventFeed

log = logging.getLogger("leveret.events")

OpenFeed = Callable[[Any, str], AbstractAsyncContextManager[EventFeed]]
"""(settings, routing key): opens a feed for the length of a block on the running loop."""
Handler = Callable[[dict[str, Any]], Any]

_SETTINGS = ("queue_prefix", "queue_ttl", "queue_expires", "queue_exclusive", "queue_durable")


class EventReceiver:
    """`handlers`: event type -> function, `*` for all without one. An event is a dict under Celery's names."""

    def __init__(
        self,
        channel: Connection | None = None,
        handlers: Mapping[str, Handler] | None = None,
        routing_key: str = "#",
        node_id: str | None = None,
        app: Any = None,
        *,
        open_feed: OpenFeed,
        **queue: Any,
    ) -> None:
        """Celery's signature."""
        self.app, self.connection = app, channel
        self.channel = channel
        self.handlers = {} if handlers is None else handlers
        self.routing_key = routing_key
        self.node_id = node_id
        self.should_stop = False
        self._open = open_feed
        given = {f"event_{name}": queue.pop(name) for name in _SETTINGS if queue.get(name) is not None}
        self._changes = given
        self._clock = 0

    def capture(self, limit: int | None = None, timeout: float | None = None, wakeup: bool = True) -> None:
        """Hear until `limit` messages have come, `should_stop` is set, or nothing came for `timeout` seconds
        (`TimeoutError`). One message may hold many events."""
        for _ in self.itercapture(limit, timeout, wakeup):
            pass

    def itercapture(
        self, limit: int | None = None, timeout: float | None = None, wakeup: bool = True
    ) -> Iterator[Parcel]:
        """As `capture`, step by step: after each message."""
        if running_loop() is not None:
            raise RuntimeError("capture() blocks, and an event loop runs here: use `await receiver.acapture(...)`")
        with asyncio.Runner() as runner:
            steps = self._steps(limit, timeout, wakeup)
            try:
                while (parcel := runner.run(_next(steps))) is not None:
                    yield parcel
            finally:
                runner.run(_close(steps))

    async def acapture(self, limit: int | None = None, timeout: float | None = None, wakeup: bool = True) -> None:
        """As `capture`, on the running loop; handlers are called there."""
        async for _ in self._steps(limit, timeout, wakeup):
            pass

    async def _steps(self, limit: int | None, timeout: float | None, wakeup: bool) -> AsyncIterator[Parcel]:
        async with self._open(self._settings(), self.routing_key) as feed:
            if wakeup:
                await asyncio.to_thread(self.wakeup_workers)
            heard = 0
            while not self.should_stop and (limit is None or heard < limit):
                for parcel in await asyncio.wait_for(feed.receive(), timeout):
                    heard += 1
                    self.receive(parcel)
                    yield parcel
                    if self.should_stop or (limit is not None and heard >= limit):
                        return

    def _settings(self) -> Any:
        settings = self.app.conf.settings if self.connection is None else self.connection.settings
        return replace(settings, **self._changes) if self._changes else settings

    def wakeup_workers(self, channel: Any = None) -> None:
        """Ask all nodes to say now that they are there."""
        control = getattr(self.app, "control", None)
        if control is None:
            return
        try:
            control.broadcast("heartbeat")
        except Exception as error:
            log.debug("nodes could not be asked for a heartbeat: %s", error)

    def receive(self, parcel: Parcel) -> None:
        """Hand what one message holds to the handlers; what is no event is passed over."""
        try:
            body = msgspec.json.decode(parcel.body)
        except msgspec.DecodeError as error:
            log.warning("a message on %s holds no events: %s", parcel.key, error)
            return
        for event in body if isinstance(body, list) else [body]:
            if isinstance(event, dict) and isinstance(event.get("type"), str):
                self.process(*self.event_from_message(event))

    def process(self, type: str, event: dict[str, Any]) -> None:
        handler = self.handlers.get(type) or self.handlers.get("*")
        if handler is not None:
            handler(event)

    def event_from_message(self, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """What handlers get: with the moment it was heard, and always with a clock. Timestamps are unix time whatever
        the zones of sender and receiver, so they stay as they are."""
        clock = body.get("clock")
        if body["type"] == "task-sent":
            # Senders hear nothing, so what they take for the time says nothing.
            body["clock"] = max(self._clock - 1, 0)
        elif isinstance(clock, int):
            self._clock = max(self._clock, clock) + 1
        else:
            self._clock += 1
            body["clock"] = self._clock
        body["local_received"] = time.time()
        return body["type"], body


async def _next(steps: AsyncIterator[Parcel]) -> Parcel | None:
    return await anext(steps, None)


async def _close(steps: Any) -> None:
    await steps.aclose()
