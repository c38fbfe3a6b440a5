"""How observations reach whoever watches. Nobody may be watching, and what is lost is lost: no verb waits for long."""

from typing import Protocol

from leveret.model.telling.event import Parcel


class EventFeed(Protocol):
    """What one watcher hears, from the moment it was opened."""

    async def receive(self) -> tuple[Parcel, ...]:
        """Wait for the next; a lost connection is made anew meanwhile. Cancelling loses nothing."""
        ...

    async def close(self) -> None: ...


class EventBus(Protocol):
    """The face of one loop."""

    async def send(self, parcels: tuple[Parcel, ...]) -> None:
        """Hand them over, or raise `BrokerError`: nothing is kept, tried again or confirmed."""
        ...

    async def watch(self, key: str) -> EventFeed:
        """Hear all that matches an AMQP topic (`#`, `task.#`, `worker.heartbeat`)."""
        ...

    async def close(self) -> None:
        """Close what it opened for itself; the driver's other faces may share the rest."""
        ...


class BlockingEventBus(Protocol):
    """The face of callers' own threads."""

    def send(self, parcels: tuple[Parcel, ...], timeout: float) -> None:
        """As `EventBus.send`, within `timeout` seconds."""
        ...


class Eventful(Protocol):
    """Declared by a broker driver on which there are events."""

    def events(self) -> EventBus: ...

    def blocking_events(self) -> BlockingEventBus: ...
