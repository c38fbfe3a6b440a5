"""Events beside a file: whoever watches binds a port on the loopback and leaves its number in a folder beside the
queue; whoever has events sends them there in datagrams. Nothing is written to the database, and nobody ever waits.
"""

import asyncio
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from leveret.links.alive import is_alive
from leveret.links.hearing import Heard
from leveret.logic.routing import topic_matches
from leveret.model.telling.event import MULTI, Parcel

FOLDER = "-watchers"
"""What the folder's name has behind the file's."""
LOOK_SECONDS = 1.0
"""How long a sender goes by what it saw in the folder."""
MOST_BYTES = 60_000
"""A datagram on the loopback holds 65,507."""
BUFFER_BYTES = 4 << 20


def folder_of(path: Path) -> Path:
    return path.with_name(path.name + FOLDER)


class WatcherPorts:
    """The senders' side; any thread, any process."""

    def __init__(self, path: Path) -> None:
        self._folder = folder_of(path)
        self._socket: socket.socket | None = None
        self._pid = 0
        self._looked = -LOOK_SECONDS
        self._ports: tuple[int, ...] = ()

    def send(self, parcels: Sequence[Parcel]) -> None:
        """To everybody who watches; a full buffer loses it."""
        ports = self._known()
        if not ports:
            return
        sock = self._own()
        for parcel in parcels:
            for datagram in datagrams(parcel):
                for port in ports:
                    with suppress(OSError):
                        sock.sendto(datagram, ("127.0.0.1", port))

    def _known(self) -> tuple[int, ...]:
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked, self._ports = now, self._look()
        return self._ports

    def _look(self) -> tuple[int, ...]:
        try:
            names = os.listdir(self._folder)
        except OSError:
            return ()
        return tuple(int(name) for name in names if name.isdecimal() and 0 < int(name) < 65536)

    def _own(self) -> socket.socket:
        if self._socket is None or self._pid != os.getpid():
            if self._socket is not None:
                self._socket.close()
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._pid = os.getpid()
        return self._socket


def datagrams(parcel: Parcel) -> list[bytes]:
    """A parcel in pieces that fit; a single event that does not is lost."""
    head = msgspec.json.encode((parcel.key, parcel.hostname, parcel.content_type)) + b"\n"
    if len(head) + len(parcel.body) <= MOST_BYTES:
        return [head + parcel.body]
    if parcel.key != MULTI:
        return []
    events: list[msgspec.Raw] = msgspec.json.decode(parcel.body, type=list[msgspec.Raw])
    if len(events) == 1:
        return []
    half = len(events) // 2
    parts = (events[:half], events[half:])
    return [
        piece
        for part in parts
        for piece in datagrams(Parcel(parcel.key, msgspec.json.encode(part), parcel.hostname, parcel.content_type))
    ]


def opened(datagram: bytes) -> Parcel | None:
    """None for what is no parcel."""
    head, end, body = datagram.partition(b"\n")
    try:
        read: tuple[str, str, str] = msgspec.json.decode(head, type=tuple[str, str, str])
    except msgspec.DecodeError:
        return None
    return Parcel(read[0], body, read[1], read[2]) if end else None


class LoopbackEvents:
    """`ports.operations.events.EventBus`."""

    def __init__(self, path: Path) -> None:
        self._path, self._ports = path, WatcherPorts(path)

    async def send(self, parcels: tuple[Parcel, ...]) -> None:
        self._ports.send(parcels)

    async def watch(self, key: str) -> "LoopbackFeed":
        return await LoopbackFeed.open(self._path, key)

    async def close(self) -> None:
        return


class LoopbackBlockingEvents:
    """`ports.operations.events.BlockingEventBus`."""

    def __init__(self, path: Path) -> None:
        self._ports = WatcherPorts(path)

    def send(self, parcels: tuple[Parcel, ...], timeout: float) -> None:
        self._ports.send(parcels)


class LoopbackFeed(asyncio.DatagramProtocol):
    """`ports.operations.events.EventFeed`."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._heard = Heard()
        self._transport: asyncio.DatagramTransport | None = None
        self._note: Path | None = None

    @classmethod
    async def open(cls, path: Path, key: str) -> "LoopbackFeed":
        """Bind a port and tell of it. What watchers that were killed left there is taken away."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        transport, feed = await asyncio.get_running_loop().create_datagram_endpoint(lambda: cls(key), sock=sock)
        feed._transport = transport
        folder = folder_of(path)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(folder)
        feed._note = folder / str(sock.getsockname()[1])
        feed._note.write_text(str(os.getpid()), encoding="ascii")
        return feed

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        parcel = opened(data)
        if parcel is not None and topic_matches(self._key, parcel.key):
            self._heard.add((parcel,))

    async def receive(self) -> tuple[Parcel, ...]:
        return await self._heard.next()

    async def close(self) -> None:
        if self._note is not None:
            self._note.unlink(missing_ok=True)
        if self._transport is not None:
            self._transport.close()


def _sweep(folder: Path) -> None:
    for note in folder.iterdir():
        with suppress(OSError, ValueError):
            if not is_alive(int(note.read_text(encoding="ascii") or "0")):
                note.unlink(missing_ok=True)
