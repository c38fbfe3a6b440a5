"""A broker of few words on a real socket: it reads and writes frames, and each test says what it does differently."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pamqp import body, commands, frame, header, heartbeat
from tests.unit.links.amqp.peer import deliver, method, open_ok, start, tune

Basic, Channel, Confirm, Conn = commands.Basic, commands.Channel, commands.Confirm, commands.Connection
Exchange, Queue = commands.Exchange, commands.Queue
SECONDS = 10.0

Found = tuple[int, Any]


class Gone(Exception):
    """The client closed, or the test is over."""


class Published:
    """One message as it came in."""

    def __init__(self, channel: int, tag: int, said: Basic.Publish, data: bytes) -> None:
        self.channel, self.tag, self.data = channel, tag, data
        self.exchange, self.key = said.exchange, said.routing_key


class Link:
    """One accepted connection."""

    def __init__(self, sock: socket.socket, server: "Server") -> None:
        self.sock, self.server = sock, server
        self.heard: list[str] = []
        """Names of methods, in order."""
        self.tags: dict[int, int] = {}
        self.delivered = 0
        self.gone = threading.Event()

    def send(self, data: bytes) -> None:
        try:
            for at in range(0, len(data), self.server.chunk):
                self.sock.sendall(data[at : at + self.server.chunk])
        except OSError as error:
            raise Gone from error

    def say(self, found: Any, channel: int = 0) -> None:
        self.send(method(found, channel))

    def read(self) -> Found:
        """The next frame."""
        head = self._exactly(7)
        data = head + self._exactly(int.from_bytes(head[3:7]) + 1)
        _, channel, found = frame.unmarshal(data)
        return channel, found

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                more = self.sock.recv(size - len(data))
            except OSError as error:
                raise Gone from error
            if not more:
                raise Gone
            data += more
        return data

    def shake(self) -> None:
        assert self._exactly(8) == b"AMQP\x00\x00\x09\x01"
        self.send(start())
        self.read()
        self.send(tune(heartbeat=0))
        self.read()
        self.read()
        self.send(open_ok())

    def serve(self) -> None:
        """Answer everything, until the client goes."""
        while True:
            channel, found = self.read()
            if isinstance(found, heartbeat.Heartbeat):
                continue
            self.heard.append(found.name)
            if isinstance(found, Basic.Publish):
                self._published(channel, found)
            else:
                self.server.answer(self, channel, found)

    def _published(self, channel: int, said: Basic.Publish) -> None:
        _, head = self.read()
        assert isinstance(head, header.ContentHeader)
        data = b""
        while len(data) < head.body_size:
            _, part = self.read()
            assert isinstance(part, body.ContentBody)
            data += part.value
        self.tags[channel] = self.tags.get(channel, 0) + 1
        found = Published(channel, self.tags[channel], said, data)
        with self.server.lock:
            self.server.published.append(found)
        self.server.on_publish(self, found)

    def deliver(self, channel: int, data: bytes, **properties: Any) -> None:
        self.delivered += 1
        self.send(deliver(self.delivered, data, channel=channel, **properties))


class Server:
    """Accepts connections; `on_publish` and the others may be replaced before a client comes."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._tls = tls
        self.links: list[Link] = []
        self.published: list[Published] = []
        self.queues: set[str] = set()
        self.exchanges: set[str] = set()
        self.empty = False
        """Whether what nobody has made is not there."""
        self.lock = threading.Lock()
        self.chunk = 1 << 20
        self.on_link: Callable[[Link], None] = greet
        self.on_publish: Callable[[Link, Published], None] = confirm
        self.on_method: dict[type, Callable[[Link, int, Any], None]] = {}
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []
        self.over = threading.Event()
        self._spawn(self._accept)

    @property
    def url(self) -> str:
        return f"amqp{'s' if self._tls else ''}://127.0.0.1:{self.port}//"

    def _spawn(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self.over.is_set():
                sock.close()
                return
            self._spawn(self._talk, sock)

    def _talk(self, sock: socket.socket) -> None:
        link: Link | None = None
        try:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            link = Link(sock, self)
            self.links.append(link)
            self.on_link(link)
        except (Gone, OSError):
            pass
        except BaseException as error:
            self._failures.append(error)
        finally:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
            if link is not None:
                link.gone.set()

    def answer(self, link: Link, channel: int, found: Any) -> None:
        """As RabbitMQ does where all goes well."""
        special = self.on_method.get(type(found))
        if special is not None:
            special(link, channel, found)
            return
        match found:
            case Queue.Declare(queue=name) | Exchange.Declare(exchange=name):
                known = self.queues if isinstance(found, Queue.Declare) else self.exchanges
                if self.empty and found.passive and name not in known:
                    link.say(Channel.Close(404, f"NOT_FOUND - no {name!r}", 0, 0), channel)
                    return
                known.add(name)
                link.say(Queue.DeclareOk("", 0, 0) if known is self.queues else Exchange.DeclareOk(), channel)
            case Conn.Close():
                link.say(Conn.CloseOk())
                raise Gone
            case Conn.CloseOk():
                raise Gone
            case Basic.Ack() | Channel.CloseOk():
                return
            case Basic.Consume():
                link.say(Basic.ConsumeOk(found.consumer_tag), channel)
            case _:
                link.say(_OK[type(found)](), channel)

    def close(self) -> None:
        self.over.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for link in self.links:
            with suppress(OSError):
                link.sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(SECONDS)
        assert not self._failures, self._failures


_OK = {
    Channel.Open: Channel.OpenOk,
    Channel.Close: Channel.CloseOk,
    Confirm.Select: Confirm.SelectOk,
    Exchange.Bind: Exchange.BindOk,
    Queue.Bind: Queue.BindOk,
    Basic.Qos: Basic.QosOk,
}


def greet(link: Link) -> None:
    link.shake()
    link.serve()


def silent(link: Link) -> None:
    """Reads, and says nothing."""
    while True:
        link._exactly(1)


def deaf(link: Link) -> None:
    """Neither reads nor writes, until the client goes or the test is over."""
    link.server.over.wait()


def confirm(link: Link, found: Published) -> None:
    link.say(Basic.Ack(found.tag), found.channel)


def ignore(link: Link, found: Published) -> None:
    return


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(tls)
    try:
        yield server
    finally:
        server.close()
