"""Listens between a client and its broker: what the client sends is the message whose limit is measured."""

import socket
import threading
from urllib.parse import urlsplit, urlunsplit


class Tap:
    """Passes connections on and keeps what went to the broker, one recording a connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._broker = (parts.hostname or "127.0.0.1", parts.port or 5672)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = urlunsplit(parts._replace(netloc=f"guest:guest@127.0.0.1:{port}"))
        self.recordings: list[bytearray] = []
        # Owned by the listening thread until `close` has joined it.
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Call when the client is gone: waits for the rest of what it sent."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            broker = socket.create_connection(self._broker)
            recording = bytearray()
            self.recordings.append(recording)
            for source, target, kept in ((client, broker, recording), (broker, client, None)):
                thread = threading.Thread(target=_pass_on, args=(source, target, kept), daemon=True)
                thread.start()
                self._threads.append(thread)


def _pass_on(source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
    try:
        while data := source.recv(65536):
            if kept is not None:
                kept += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        target.close()
