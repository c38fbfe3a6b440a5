"""A real Redis (or Valkey) of one's own: killed, started again on the same port with the same files."""

import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers import availability
from tests.servers.host.certificates import Certificates, issue
from tests.servers.host.ports import HOST, claim_port
from tests.servers.host.premises import Premises, tail

START_SECONDS = 20.0
FINDERS = {"redis": availability.redis_server, "valkey": availability.valkey_server}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """`kind`: redis or valkey. `acl`: lines of an ACL file, such as `user tq on >secret ~* &* +@all`.

    `durable`: every write is on disk before it is answered. `conf`: lines for redis.conf.
    """

    kind: str = "redis"
    acl: tuple[str, ...] = ()
    tls: bool = False
    durable: bool = False
    conf: tuple[str, ...] = ()


class RedisServer:
    """One server, from `start` to `stop`."""

    mode: tuple[str, ...] = ()
    """Words of the command line behind the configuration."""

    def __init__(self, options: RedisOptions | None = None) -> None:
        self._options = options or RedisOptions()
        self._command = FINDERS[self._options.kind]()
        self._premises = Premises(self._options.kind)
        self._port = claim_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.certificates: Certificates | None = issue(self.folder / "certificates") if self._options.tls else None

    @property
    def folder(self) -> Path:
        return self._premises.folder

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def url(self) -> str:
        return self.url_as()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url_as(self, user: str = "", password: str = "", *, port: int | None = None) -> str:
        """Answer the URL for a user; `port`: of the proxy to go through."""
        who = f"{user}:{password}@" if user else ""
        return f"{'rediss' if self._options.tls else 'redis'}://{who}{HOST}:{port or self.port}/0"

    def start(self) -> Self:
        """Start, the first time or after `kill`, and wait until it answers and has read its files."""
        assert not self.running, "it runs already"
        (self.folder / "redis.conf").write_text("\n".join(self._configuration()) + "\n")
        (self.folder / "data").mkdir(exist_ok=True)
        command = [self._command, self.folder / "redis.conf", *self.mode]
        self._process = self._premises.run(command, log=self.folder / "server.log")
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self.running or time.monotonic() > deadline:
                raise RuntimeError(f"{self._command} did not start:\n{tail(self.folder / 'server.log')}")
            time.sleep(0.005)
        return self

    def kill(self) -> None:
        """Kill -9; what was not written to disk is lost."""
        if self._process is not None:
            self._premises.evict(self._process)

    def restart(self) -> None:
        """End in order what runs, and start; after `kill`: only start."""
        if self.running and self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(START_SECONDS)
        self.start()

    def stop(self) -> None:
        """End it at once; nothing is kept."""
        self._premises.clear()
        self._port.release()

    def call(self, *words: str, user: str = "", password: str = "") -> str:
        """Send one command on a connection of its own; answers what comes back, as it comes (RESP)."""
        with self._connection() as connection:
            if user:
                _send(connection, "AUTH", user, password)
            return _send(connection, *words)

    @contextmanager
    def _connection(self) -> Iterator[socket.socket]:
        with socket.create_connection((HOST, self.port), timeout=5) as plain:
            if self.certificates is None:
                yield plain
            else:
                with self.certificates.client_context().wrap_socket(plain, server_hostname=HOST) as connection:
                    yield connection

    def _answers(self) -> bool:
        try:
            # -LOADING: it is still reading its files. -NOAUTH and the like: it is up, and has an ACL.
            answer = self.call("PING")
        except (OSError, ssl.SSLError):
            return False
        return answer.startswith(("+PONG", "-NOAUTH", "-NOPERM"))

    def _configuration(self) -> list[str]:
        lines = [f"bind {HOST}", f'dir "{self.folder / "data"}"', 'save ""', "daemonize no"]
        if self._options.durable:
            lines += ["appendonly yes", "appendfsync always"]
        if self._options.acl:
            (self.folder / "users.acl").write_text("\n".join(self._options.acl) + "\n")
            lines.append(f'aclfile "{self.folder / "users.acl"}"')
        return [*lines, *self._listener(), *self._options.conf]

    def _listener(self) -> list[str]:
        if self.certificates is None:
            return [f"port {self.port}"]
        return [
            "port 0",
            f"tls-port {self.port}",
            f'tls-cert-file "{self.certificates.server}"',
            f'tls-key-file "{self.certificates.server_key}"',
            f'tls-ca-cert-file "{self.certificates.authority}"',
            "tls-auth-clients yes",
        ]

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _send(connection: socket.socket, *words: str) -> str:
    encoded = [word.encode() for word in words]
    connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded))
    return connection.recv(65_536).decode(errors="replace").rstrip()
