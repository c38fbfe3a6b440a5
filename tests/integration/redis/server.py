"""`tests.servers.redis` with what tests of results ask of it besides."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.host.ports import HOST, claim_port
from tests.servers.redis import RedisServer


class Server(RedisServer):
    """Emptied and asked by redis-cli, frozen, listened to."""

    def cli(self, *words: str | int) -> str:
        """What redis-cli says."""
        command = ["redis-cli", "-p", str(self.port), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip("\n")

    def in_one_step(self, *lines: str) -> None:
        """Run commands with nothing between them."""
        text = "".join(f"{line}\n" for line in ("MULTI", *lines, "EXEC"))
        subprocess.run(["redis-cli", "-p", str(self.port)], input=text, capture_output=True, text=True, check=True)

    def info(self, name: str) -> str:
        lines = self.cli("INFO", "everything").splitlines()
        return next(line.partition(":")[2] for line in lines if line.startswith(f"{name}:"))

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def until_subscribed(self, channel: str) -> None:
        """Return when somebody listens there."""
        until(lambda: self.cli("PUBSUB", "NUMSUB", channel).split()[-1] != "0", f"nobody subscribed to {channel}")

    @contextmanager
    def subscribed(self, channel: str) -> Iterator["Heard"]:
        """Listen as any client would."""
        with socket.create_connection((HOST, self.port), 5) as line:
            line.sendall(b"SUBSCRIBE %b\r\n" % channel.encode())
            heard = Heard(line)
            heard.words(3)
            yield heard


class Heard:
    """Reads what a subscriber is sent, in RESP 2."""

    def __init__(self, line: socket.socket) -> None:
        self._file = line.makefile("rb")

    def next(self) -> bytes:
        return self.words(3)[2]

    def words(self, count: int) -> list[bytes]:
        assert self._file.readline() == b"*%d\r\n" % count
        return [self._word() for _ in range(count)]

    def _word(self) -> bytes:
        head = self._file.readline()
        if head[:1] == b":":
            return head[1:-2]
        return self._file.read(int(head[1:-2]) + 2)[:-2]


class Sentinel(Server):
    """Watches a master under the name `main`."""

    def __init__(self, master: Server) -> None:
        super().__init__()
        self._master = master
        script = self.folder / "sentinel"
        script.write_text(f'#!/bin/sh\nexec {self._command} "$1" --sentinel\n')
        script.chmod(0o755)
        self._command = script

    def _configuration(self) -> list[str]:
        return [
            f"bind {HOST}",
            f"port {self.port}",
            f'dir "{self.folder / "data"}"',
            f"sentinel monitor main {HOST} {self._master.port} 1",
            "sentinel down-after-milliseconds main 500",
            "sentinel failover-timeout main 3000",
        ]


def nobody() -> int:
    """A port where nobody listens."""
    port = claim_port()
    port.release()
    return port.number


def until(holds, otherwise: str = "it did not come about", seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.01)
