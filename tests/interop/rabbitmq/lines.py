"""Lines: one side sends, the other runs, and the sender reads the result. Every case is run on each of them."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from amqp.exceptions import NotFound
from kombu import Connection
from tests.interop.rabbitmq.apps import MAKERS
from tests.interop.rabbitmq.processes import Notes, WorkerProcess, until
from tests.servers.rabbit.remote import Rabbit, Vhost


class Kind(NamedTuple):
    """Who runs, how, and where results go; the other side is the sender."""

    worker: str
    pool: str
    results: str

    @property
    def client(self) -> str:
        return "leveret" if self.worker == "celery" else "celery"

    def __str__(self) -> str:
        return f"{self.client}-to-{self.worker}-{self.pool}-{self.results}"


LINES = (
    Kind("leveret", "prefork", "rpc"),
    Kind("leveret", "threads", "redis"),
    Kind("celery", "prefork", "rpc"),
    Kind("celery", "solo", "redis"),
)


class Site:
    """A broker's vhost, a Redis, and the workers started there; they stay until the session ends."""

    def __init__(self, rabbit: Rabbit, vhost: Vhost, redis_url: str, folder: Path) -> None:
        self.rabbit, self.vhost, self.redis_url, self.folder = rabbit, vhost, redis_url, folder
        self.notes = Notes(folder / "notes")
        self._workers: dict[str, WorkerProcess] = {}
        self._clients: dict[tuple[str, str], Any] = {}

    def backend(self, results: str) -> str:
        return self.redis_url if results == "redis" else "rpc://"

    def client(self, side: str, results: str = "rpc") -> Any:
        """The sending side's app in this process: Celery's or ours, whose words are the same."""
        made = self._clients.get((side, results))
        if made is None:
            made = self._clients[side, results] = self.another_client(side, results)
        return made

    def another_client(self, side: str, results: str = "rpc", **environment: str) -> Any:
        """A sender of one's own, to be closed; `environment` as for a worker."""
        return MAKERS[side]({**self._places(results), **environment})

    def _places(self, results: str = "rpc") -> dict[str, str]:
        return {
            "INTEROP_BROKER": self.vhost.url,
            "INTEROP_BACKEND": self.backend(results),
            "INTEROP_NOTES": str(self.notes.path),
        }

    def workers(self) -> tuple[WorkerProcess, ...]:
        return tuple(self._workers.values())

    def start(self, side: str, name: str, options: list[str], **environment: str) -> WorkerProcess:
        """Start a worker on this site."""
        worker = WorkerProcess(side, name, self.folder, {**self._places(), **environment}, options)
        self._workers[name] = worker
        return worker

    def line(self, kind: Kind) -> "Line":
        """The worker of a line, started when it is first needed."""
        queue = f"{kind.worker}-{kind.pool}-{kind.results}"
        line = Line(kind=kind, site=self, client=self.client(kind.client, kind.results), queue=queue)
        if queue not in self._workers:
            size = "1" if kind.pool == "solo" else "2"
            options = ["-P", kind.pool, "-c", size, "-Q", queue]
            self.start(kind.worker, queue, options, INTEROP_BACKEND=self.backend(kind.results))
            assert line.run("interop.who", timeout=60)[0] == kind.worker
        line.worker = self._workers[queue]
        return line

    def until_run_by(self, side: str, queue: str) -> None:
        """Wait until that side has run something from the queue."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.client(side).send_task("interop.note", kwargs={"tag": (mark := tag())}, queue=queue)
            if self.notes.wait(tag=mark, timeout=60)[0]["side"] == side:
                return
        raise AssertionError(f"{side} ran nothing from {queue} for a minute")

    def until_log(self, name: str, words: str) -> None:
        """Wait until a worker has said so."""
        until(lambda: words in self._workers[name].log, 60)

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A channel of py-amqp, for what neither side does."""
        with Connection(self.vhost.url) as connection, connection.channel() as channel:
            yield channel

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        for worker in self._workers.values():
            worker.kill()


@dataclass
class Line:
    """One sender, one worker, one queue between them."""

    kind: Kind
    site: Site
    client: Any
    queue: str
    worker: WorkerProcess = field(init=False)

    @property
    def notes(self) -> Notes:
        return self.site.notes

    @property
    def to_leveret(self) -> bool:
        return self.kind.worker == "leveret"

    def send(self, task: str, *args: Any, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Send one call; answers that side's `AsyncResult`."""
        return self.client.send_task(task, args, kwargs, **{"queue": self.queue, **options})

    def run(self, task: str, *args: Any, timeout: float = 20, **options: Any) -> Any:
        """Send one call and wait for its value."""
        return self.send(task, *args, **options).get(timeout=timeout)

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A channel of py-amqp, for what neither side does."""
        with self.site.channel() as channel:
            yield channel

    def take_from_the_ladder(self, id: str, seconds: int) -> str:
        """Wait until a message has begun to wait that long in our delay queues; answers its body."""
        found: list[str] = []

        def look() -> bool:
            try:
                with self.channel() as channel:
                    while message := channel.basic_get(f"leveret_celery_delayed_{seconds.bit_length() - 1}"):
                        found.extend([str(message.body)] if message.headers.get("id") == id else [])
            except NotFound:
                return False
            return bool(found)

        self.until(look)
        return found[0]

    def until(self, true: Callable[[], object], timeout: float = 20.0) -> None:
        until(true, timeout, lambda: self.worker.log[-3000:])

    def signature(self, task: str, *args: Any, **options: Any) -> Any:
        """A signature of the sender's for this line's worker; `kwargs` and `immutable` are no options of the call."""
        return self.client.signature(task, args=args, **{"queue": self.queue, **options})


def tag() -> str:
    return uuid.uuid4().hex
