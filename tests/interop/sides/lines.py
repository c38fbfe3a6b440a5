"""Lines: one side sends, the other runs, and the sender reads the result. Every case is run on each of them."""

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.interop.sides.processes import Notes, WorkerProcess, until

if TYPE_CHECKING:
    from tests.interop.sides.sites import Site


class Kind(NamedTuple):
    """Who runs, how, and where results go; the other side is the sender."""

    broker: str
    worker: str
    pool: str
    results: str

    @property
    def client(self) -> str:
        return "leveret" if self.worker == "celery" else "celery"

    def __str__(self) -> str:
        return f"{self.broker}-{self.client}-to-{self.worker}-{self.pool}-{self.results}"


FULL = os.environ.get("LEVERET_CHAOS") == "full"
LINES = (
    Kind("rabbitmq", "leveret", "prefork", "rpc"),
    Kind("rabbitmq", "leveret", "threads", "redis"),
    Kind("rabbitmq", "celery", "prefork", "rpc"),
    Kind("rabbitmq", "celery", "solo", "redis"),
    Kind("redis", "leveret", "prefork", "same"),
    Kind("redis", "celery", "prefork", "same"),
    *([Kind("redis", "leveret", "threads", "apart"), Kind("redis", "celery", "solo", "apart")] if FULL else []),
)
BROKERS = ("rabbitmq", "redis")


@dataclass
class Line:
    """One sender, one worker, one queue between them."""

    kind: Kind
    site: "Site"
    client: Any
    queue: str
    worker: WorkerProcess = field(init=False)

    @property
    def notes(self) -> Notes:
        return self.site.notes

    @property
    def to_leveret(self) -> bool:
        return self.kind.worker == "leveret"

    @property
    def store_url(self) -> str | None:
        """Of the Redis where results are documents; None where they are messages."""
        return None if self.kind.results == "rpc" else self.site.stores[self.kind.results]

    def send(self, task: str, *args: Any, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Send one call; answers that side's `AsyncResult`."""
        return self.client.send_task(task, args, kwargs, **{"queue": self.queue, **options})

    def run(self, task: str, *args: Any, timeout: float = 20, **options: Any) -> Any:
        """Send one call and wait for its value."""
        return self.send(task, *args, **options).get(timeout=timeout)

    def take_delayed(self, id: str, seconds: int) -> str:
        """Wait until a message has begun to wait that long with the broker; answers its body."""
        found: list[str] = []

        def look() -> bool:
            found.extend(body for one, body in self.site.delayed(seconds) if one == id)
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
