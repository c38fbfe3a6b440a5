"""A private redis-server on a free port of the loopback, killed with the test."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Server:
    """One redis-server process; `start` again after `kill` finds the same port, and the same data where it was saved."""

    def __init__(self, folder: Path, *options: str, sentinel: Path | None = None) -> None:
        if shutil.which("redis-server") is None:
            pytest.skip("redis-server is not installed")
        self.folder = folder
        self.port = free_port()
        self._options = options
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        log = self.folder / "redis.log"
        command = ["redis-server", *([str(self._sentinel), "--sentinel"] if self._sentinel else [])]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--logfile", str(log), *([] if self._sentinel else ["--save", ""]), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not self.answers():
            assert time.monotonic() < deadline and self._process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.01)

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(100)[:1] in (b"+", b"-")
        except OSError:
            return False

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    @contextmanager
    def subscribed(self, channel: str) -> Iterator["Heard"]:
        """Listen as any client would."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as line:
            line.sendall(b"SUBSCRIBE %b\r\n" % channel.encode())
            heard = Heard(line)
            heard.words(3)
            yield heard

    def until_subscribed(self, channel: str) -> None:
        """Return when somebody listens there."""
        deadline = time.monotonic() + 10
        while self.call("PUBSUB", "NUMSUB", channel).split()[-1] == "0":
            assert time.monotonic() < deadline, f"nobody subscribed to {channel}"
            time.sleep(0.01)

    def info(self, name: str) -> str:
        return next(line.partition(":")[2] for line in self.call("INFO").splitlines() if line.startswith(f"{name}:"))

    def in_one_step(self, *lines: str) -> None:
        """Run commands with nothing between them."""
        text = "".join(f"{line}\n" for line in ("MULTI", *lines, "EXEC"))
        command = ["redis-cli", "-p", str(self.port)]
        subprocess.run(command, input=text, capture_output=True, text=True, check=True)

    def call(self, *words: str | int) -> str:
        """What redis-cli says."""
        command = ["redis-cli", "-p", str(self.port), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip("\n")


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
