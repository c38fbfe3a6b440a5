"""What a task depends on: a service that listens, and goes away, and comes back on the same port."""

import socket
import threading
from contextlib import suppress


class Service:
    def __init__(self) -> None:
        with socket.socket() as any_port:
            any_port.bind(("127.0.0.1", 0))
            self.port = int(any_port.getsockname()[1])
        self._socket: socket.socket | None = None

    def up(self) -> None:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen(128)
        self._socket = listening
        threading.Thread(target=self._serve, args=(listening,), daemon=True).start()

    def down(self) -> None:
        """Whoever calls is refused at once."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            with line, suppress(OSError):
                line.sendall(b"ok")
