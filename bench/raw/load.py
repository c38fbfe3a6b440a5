"""RabbitMQ's own limit: the C load generator beside this file, with the messages our client sends."""

import json
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.media import DATA, Servers
from bench.raw import frames
from bench.trial import Figures

HERE = Path(__file__).parent
TIMEOUT = 900.0
BULK_WINDOW, SENDERS = 1000, 16
SETTLE_SECONDS = 0.5
"""Between filling a queue and reading it: a node needs as long to start."""


class NoCompiler(RuntimeError):
    """The limit cannot be measured."""


@dataclass(frozen=True, slots=True)
class Load:
    """The generator, on servers, with messages on a kind of queue."""

    servers: Servers
    binary: Path
    sent: frames.Sent

    def publish(self, count: int, window: int, queue_type: str = "") -> Figures:
        """`window` messages unconfirmed at most; 1: each waits for its confirm."""
        with self._queue(queue_type) as queue:
            return self._measured("published", queue, f"count={count}", f"window={window}", verb="publish")

    def consume(self, count: int, connections: int, queue_type: str = "") -> Figures:
        with self._queue(queue_type) as queue:
            self._run("publish", *queue, f"count={count}", f"window={BULK_WINDOW}")
            time.sleep(SETTLE_SECONDS)
            options = (f"count={count}", f"connections={connections}")
            return self._measured("consumed", queue, *options, verb="consume")

    def both(self, count: int, queue_type: str = "") -> Figures:
        with self._queue(queue_type) as queue:
            return self._measured("consumed", queue, f"count={count}", f"window={BULK_WINDOW}", verb="both")

    def fill(self, url: str, queue: str, count: int) -> None:
        """Messages of ours for somebody else to read."""
        where = self._where(url, self.sent.queue_type)
        self._run("publish", *where, f"queue={queue}", f"count={count}", f"window={BULK_WINDOW}")

    @contextmanager
    def _queue(self, queue_type: str) -> Iterator[tuple[str, ...]]:
        with self.servers.place(self.binary.parent) as place:
            yield self._where(place["BENCH_BROKER_URL"], queue_type or self.sent.queue_type)

    def _where(self, url: str, queue_type: str) -> tuple[str, ...]:
        parts = urlsplit(url)
        options = {
            "host": parts.hostname,
            "port": parts.port,
            "vhost": parts.path[1:],
            "type": queue_type,
            "mandatory": int(self.sent.mandatory),
            "messages": self.binary.with_name("messages"),
        }
        return tuple(f"{name}={value}" for name, value in options.items())

    def _measured(self, which: str, queue: tuple[str, ...], *options: str, verb: str) -> Figures:
        before = self.servers.cpu_seconds()
        figures = self._run(verb, *queue, *options)
        broker = self.servers.cpu_seconds() - before
        rate = figures[f"{which}_per_second"]
        return {**figures, "per_second": rate, "broker_ms_per_1k": broker / figures["tasks"] * 1e6}

    def _run(self, verb: str, *options: str) -> dict[str, float]:
        command = (str(self.binary), verb, *options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
        if done.returncode:
            raise RuntimeError(f"amqpload {verb}: {done.stderr.strip()}")
        figures: dict[str, float] = json.loads(done.stdout)
        return figures


def build(servers: Servers, sent: frames.Sent) -> Load:
    """Compiles the generator beside the messages it will send."""
    compiler = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), None)
    if compiler is None:
        raise NoCompiler(
            "the limit of the broker needs a C compiler; on Debian and Ubuntu: apt-get install gcc libc6-dev"
        )
    folder = DATA / f"load-{sysconfig.get_platform()}"
    folder.mkdir(parents=True, exist_ok=True)
    binary = folder / "amqpload"
    subprocess.run([compiler, "-O2", "-pthread", "-o", binary, HERE / "amqpload.c"], check=True)
    frames.write(sent.contents, binary.with_name("messages"))
    return Load(servers, binary, sent)
