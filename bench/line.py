"""A longer way to a server: what is sent arrives so much later, in its order."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue

CHUNK = 262_144
Parcel = tuple[float, bytes]


class Line:
    """Forwards a port of the loopback. Threads that sleep until a moment: loops round it up to milliseconds."""

    def __init__(self, target: int, seconds: float) -> None:
        """`seconds`: of each way."""
        self._target, self._seconds = target, seconds
        self._door = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._ends: list[socket.socket] = []
        self.port = int(self._door.getsockname()[1])
        threading.Thread(target=self._welcome, daemon=True).start()

    def close(self) -> None:
        for one in (self._door, *self._ends):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _welcome(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                for one in (near, far):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._ends += (near, far)
                for source, sink in ((near, far), (far, near)):
                    parcels: SimpleQueue[Parcel] = SimpleQueue()
                    threading.Thread(target=self._take, args=(source, parcels), daemon=True).start()
                    threading.Thread(target=self._deliver, args=(parcels, sink), daemon=True).start()

    def _take(self, source: socket.socket, parcels: "SimpleQueue[Parcel]") -> None:
        data = b"?"
        while data:
            try:
                data = source.recv(CHUNK)
            except OSError:
                data = b""
            parcels.put((time.perf_counter() + self._seconds, data))

    @staticmethod
    def _deliver(parcels: "SimpleQueue[Parcel]", sink: socket.socket) -> None:
        while True:
            due, data = parcels.get()
            time.sleep(max(due - time.perf_counter(), 0.0))
            with suppress(OSError):
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)


@contextmanager
def line(target: int, seconds: float) -> Iterator[Line]:
    made = Line(target, seconds)
    try:
        yield made
    finally:
        made.close()
