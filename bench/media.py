"""Where a trial's messages lie: a file, servers of our own, or a broker somebody names."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from bench.brokers import RabbitMq, Redis, ServerMissing
from bench.systems import BENCH

DATA = BENCH / ".data"


class Medium(Protocol):
    name: str

    def place(self, folder: Path) -> AbstractContextManager[Mapping[str, str]]:
        """An empty broker for one trial, as the variables that lead a system to it."""
        ...

    def cpu_seconds(self) -> float:
        """What the broker's processes used; 0 where there is none beside the node."""
        ...


class SqliteFile:
    """A file in the trial's own folder."""

    name = "sqlite"

    @contextmanager
    def place(self, folder: Path) -> Iterator[Mapping[str, str]]:
        yield {"LEVERET_BROKER_URL": f"sqlite:///{folder}/leveret.db"}

    def cpu_seconds(self) -> float:
        return 0.0


class Given:
    """A broker by its URL. It is used as it is found, so nothing else should use it, and its queues should be empty."""

    def __init__(self, url: str) -> None:
        self.name = url.partition(":")[0]
        self._url = url

    @contextmanager
    def place(self, folder: Path) -> Iterator[Mapping[str, str]]:
        yield {"LEVERET_BROKER_URL": self._url, "BENCH_BROKER_URL": self._url}

    def cpu_seconds(self) -> float:
        return 0.0


class Servers:
    """RabbitMQ for the messages, and Redis for the results of the systems that keep theirs there."""

    name = "rabbitmq"

    def __init__(self, folder: Path) -> None:
        self.rabbitmq, self._redis = RabbitMq(folder / "rabbitmq"), Redis(folder / "redis")
        self._numbers = itertools.count(1)

    def start(self) -> None:
        self.rabbitmq.start()
        try:
            self._redis.start()
        except ServerMissing:
            self.rabbitmq.stop()
            raise

    def stop(self) -> None:
        self.rabbitmq.stop()
        self._redis.stop()

    @contextmanager
    def place(self, folder: Path) -> Iterator[Mapping[str, str]]:
        name = f"trial{next(self._numbers)}"
        url = self.rabbitmq.add_virtual_host(name)
        self._redis.empty()
        try:
            yield {"LEVERET_BROKER_URL": url, "BENCH_BROKER_URL": url, "BENCH_REDIS_URL": self._redis.url}
        finally:
            try:
                self.rabbitmq.delete_virtual_host(name)
            except RuntimeError as error:
                # After a million messages its log may be down for a while; the whole server goes in the end.
                print(f"  {name} stays: {error}", flush=True)

    def cpu_seconds(self) -> float:
        return self.rabbitmq.cpu_seconds() + self._redis.cpu_seconds()


class RedisAlone:
    """Redis for everything, without a disk behind it: so the peers are known too."""

    name = "redis"

    def __init__(self, folder: Path) -> None:
        self.redis = Redis(folder / "redis")

    @contextmanager
    def place(self, folder: Path) -> Iterator[Mapping[str, str]]:
        self.redis.empty()
        url = self.redis.url
        yield {"LEVERET_BROKER_URL": url, "BENCH_BROKER_URL": url, "BENCH_REDIS_URL": url}

    def cpu_seconds(self) -> float:
        return self.redis.cpu_seconds()


SQLITE = SqliteFile()


@contextmanager
def servers() -> Iterator[Servers]:
    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=DATA))
    running = Servers(folder)
    try:
        print("starting RabbitMQ and Redis ...", flush=True)
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis_alone() -> Iterator[RedisAlone]:
    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=DATA))
    running = RedisAlone(folder)
    try:
        running.redis.start()
        yield running
    finally:
        running.redis.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def medium(broker: str) -> Iterator[Medium]:
    """`sqlite`, `rabbitmq` or `redis` (private ones), or a URL."""
    if broker == "sqlite":
        yield SQLITE
    elif broker == "rabbitmq":
        with servers() as running:
            yield running
    elif broker == "redis":
        with redis_alone() as alone:
            yield alone
    elif "://" in broker:
        yield Given(broker)
    else:
        raise SystemExit(f"no broker named {broker!r}: sqlite, rabbitmq, redis, or a URL")
