"""taskito (Rust over SQLite; flexiq is its successor) with the settings its manual gives for throughput."""

from typing import Any

from common import BIN, DATA, body, main, option
from taskito import Queue

TUNED = {"scheduler_batch_size": 100, "scheduler_poll_interval_ms": 5, "push_dispatch": True}
queue = Queue(db_path=str(DATA / "taskito.db"), workers=int(option("processes", "2")), **TUNED)


@queue.task()
def add(x: int, y: Any) -> int:
    body()
    return x + 1


def purge() -> None:
    queue.close()


def send(count: int, bulk: bool, payload: Any) -> None:
    if not bulk:
        for number in range(count):
            add.delay(number, payload)
        return
    for start in range(0, count, 1000):
        queue.enqueue_many(add.name, [(number, payload) for number in range(start, min(count, start + 1000))])


def call(payload: Any) -> None:
    add.delay(1, payload).result(timeout=20, poll_interval=0.0005, max_poll_interval=0.0005)


def worker() -> list[str]:
    return [str(BIN / "taskito"), "worker", "--app", "p_taskito:queue", "--pool", option("pool", "prefork")]


if __name__ == "__main__":
    main("p_taskito")
