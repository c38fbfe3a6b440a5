"""`python -m bench.drills.redis_results`: what a result in Redis costs to store, and how soon its waiter has it.

A private redis-server; documents of 160 bytes; Celery's own backend beside ours, in the same process.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leveret.backends.redis import RedisBackendDriver
from leveret.model.endpoint import Url
from leveret.model.message import TaskId
from leveret.model.options import DriverOptions
from leveret.model.settlement import Record
from leveret.wiring.clock import SystemClock

ROUNDS = 5
SIZES = {1: 1_000, 8: 4_000, 64: 20_000, 256: 20_000}
WAITS = 1_000
DOCUMENT = (
    b'{"status":"SUCCESS","result":%s,"traceback":null,"children":[],'
    b'"date_done":"2026-11-21T10:14:24.622024+00:00","task_id":"%s"}'
)
STORER = """
import sys, time
from bench.drills.redis_results import DOCUMENT, driver, record
face = driver(sys.argv[1]).blocking_backend()
for line in sys.stdin:
    time.sleep(0.002)
    face.store((record(line.strip(), b"%.7f" % time.monotonic()),))
"""


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            yield f"redis://127.0.0.1:{port}/0", process.pid
        finally:
            process.terminate()
            process.wait()


def driver(url: str) -> RedisBackendDriver:
    return RedisBackendDriver(Url(url), DriverOptions(), SystemClock())


def record(name: str, value: bytes = b"5") -> Record:
    meta = DOCUMENT % (value, name.encode())
    return Record(id=TaskId(name), attempt=0, state="SUCCESS", terminal=True, meta=meta, expires_after=86_400.0)


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def storing(url: str, pid: int, size: int, count: int) -> tuple[float, float]:
    """CPU of this process and of Redis, in us a result."""
    backend = driver(url).backend()
    batches = [tuple(record(str(uuid.uuid4())) for _ in range(size)) for _ in range(count // size)]
    await backend.store((record("warm"),))
    own, theirs = time.process_time(), cpu_of(pid)
    for batch in batches:
        await backend.store(batch)
    used = (time.process_time() - own, cpu_of(pid) - theirs)
    await backend.close()
    return used[0] / len(batches) / size * 1e6, used[1] / len(batches) / size * 1e6


def celery_app(url: str) -> Any:
    import celery

    return celery.Celery("bench", broker="memory://", backend=url, set_as_current=False)


def celerys_storing(app: Any, pid: int) -> tuple[float, float]:
    names = [str(uuid.uuid4()) for _ in range(1_000)]
    own, theirs = time.process_time(), cpu_of(pid)
    for name in names:
        app.backend.store_result(name, 5, "SUCCESS")
    return (time.process_time() - own) / len(names) * 1e6, (cpu_of(pid) - theirs) / len(names) * 1e6


def waiting(url: str, wait: Callable[[str], float], before: Callable[[str], Any] = len) -> list[float]:
    """Milliseconds from the moment another process begins to store until the waiter has the value. `before` is what a
    client does before it sends the task."""
    storer = subprocess.Popen([sys.executable, "-c", STORER, url], stdin=subprocess.PIPE, text=True)
    assert storer.stdin is not None
    taken = []
    for _ in range(WAITS):
        name = str(uuid.uuid4())
        before(name)
        storer.stdin.write(f"{name}\n")
        storer.stdin.flush()
        began = wait(name)
        taken.append((time.monotonic() - began) * 1e3)
    storer.stdin.close()
    storer.wait()
    return sorted(taken[WAITS // 10 :])


def value(meta: bytes) -> float:
    return float(meta.partition(b'"result":')[2].partition(b",")[0])


def on_loop(url: str) -> list[float]:
    with asyncio.Runner() as runner:
        backend = driver(url).backend()
        return waiting(url, lambda name: value(runner.run(backend.wait([name], 10))[0].meta))


def main() -> None:
    with server() as (url, pid):
        app = celery_app(url)
        face = driver(url).blocking_backend()
        for size, count in SIZES.items():
            rounds = [asyncio.run(storing(url, pid, size, count)) for _ in range(ROUNDS)]
            report(f"store, batches of {size}", rounds)
        report("store, Celery 5.7", [celerys_storing(app, pid) for _ in range(ROUNDS)])
        latencies = {
            "result.get()": lambda: waiting(url, lambda name: value(face.wait([name], 10)[0].meta)),
            "await result": lambda: on_loop(url),
            "result.get() of Celery 5.7": lambda: waiting(
                url, lambda name: app.AsyncResult(name).get(timeout=10), app.backend.result_consumer.consume_from
            ),
        }
        for name, measure in latencies.items():
            taken = measure()
            p50, p99 = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
            print(f"{name:32} p50 {p50:.2f} ms, p99 {p99:.2f} ms")


def report(name: str, rounds: list[tuple[float, float]]) -> None:
    own, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    spread = ", ".join(f"{first:.1f}" for first, _ in rounds)
    print(f"{name:32} {own:6.1f} us of Python, {theirs:5.1f} us of Redis a result   ({spread})")


if __name__ == "__main__":
    main()
