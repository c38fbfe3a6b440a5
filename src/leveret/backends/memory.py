"""The in-process result store, for programs whose broker is another server."""

from leveret.links.memory.server import MemoryServer, server_at
from leveret.links.memory.store import MemoryBackend, MemoryBlockingBackend, MemoryPauses, MemoryRevocations
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock


class MemoryBackendDriver:
    """`ports.driver.BackendDriver`."""

    closes_joins = True

    def __init__(self, url: Url, options: DriverOptions, clock: Clock, server: MemoryServer | None = None) -> None:
        self._server = server or server_at(url, options, clock)
        self.address = self._server.name

    def backend(self, *, inline: bool = True) -> MemoryBackend:
        return MemoryBackend(self._server)

    def blocking_backend(self) -> MemoryBlockingBackend:
        return MemoryBlockingBackend(self._server)

    def revocations(self) -> MemoryRevocations:
        return MemoryRevocations(self._server)

    def pauses(self) -> MemoryPauses:
        return MemoryPauses(self._server)
