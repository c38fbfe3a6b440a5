"""The connections of one driver: one for each loop, shared by all its faces there."""

from collections.abc import Callable

from leveret.links.redis.hub import Hub
from leveret.links.redis.location import Location
from leveret.links.redis.rights import Channels


class Hubs:
    """`own` and `close` are called on the loop they mean."""

    def __init__(self, location: Location, channels: Channels, jitter: Callable[[], float]) -> None:
        self.location = location
        self._channels, self._jitter = channels, jitter
        self._hubs: list[Hub] = []

    def own(self) -> Hub:
        """The running loop's hub; a fork's child gets its own."""
        for hub in self._hubs:
            if hub.ours:
                return hub
        hub = Hub(self.location, self._channels, self._jitter)
        self._hubs = [*(other for other in self._hubs if not other.over), hub]
        return hub

    def close(self) -> None:
        """Close the running loop's connection; it is opened again when used."""
        for hub in self._hubs:
            if hub.ours:
                hub.close()
